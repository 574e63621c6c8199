// Every kernel that a network of a search space may run, and what each choice of a slot changes
// about the kernels of the original.
#pragma once

#include <string>
#include <vector>

#include "autoschedule/space.h"
#include "lower/layout.h"

namespace emulsion {

// What a choice makes of the original's calls. A rewrite may touch more than the conv itself: the
// fusions around it, and the rims of its neighbours. Indices into SpaceKernels::specs.
struct CallChange {
  std::vector<int> added, removed;
};

struct SpaceKernels {
  std::vector<KernelSpec> specs;  // completed by the defaults, each once
  std::vector<int> original;      // the calls of the network without rewrites, with repeats
  std::vector<std::vector<CallChange>> slots;  // by slot, by choice; the first changes nothing
  std::vector<int> slot_calls;                 // of each slot without a rewrite
};

// network: simplified, without rewrites. Its weights are not looked at. threads: that the defaults
// are made for.
Result<SpaceKernels> space_kernels(const Network& network, const SearchSpace& space,
                                   const std::string& target, int threads = 1);

// Up to `most` ways to compute the same kernel, the spec itself first: then the best guess of every
// other algorithm that applies and is exact enough for a default, the fastest expected first, then
// more schedules of each in turn.
std::vector<KernelSpec> alternatives(const KernelSpec& spec, int most);
// How many of the other algorithms are expected to be about as fast as the spec's.
int rival_algorithms(const KernelSpec& spec);

}  // namespace emulsion
