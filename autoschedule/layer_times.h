// The time of every choice of every slot, as the sum of its kernels' measured times: the network's
// time is predicted as a sum of look-ups.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autoschedule/records.h"
#include "autoschedule/space.h"
#include "kernels/kernel_cache.h"
#include "lower/layout.h"

namespace emulsion {

// Every kernel that a network of the space may run, each once; indices into it.
struct SpaceKernels {
  std::vector<KernelSpec> specs;
  std::vector<int> rest;  // of the layers that are no slots, with repeats
  std::vector<std::vector<std::vector<int>>> slots;  // by slot, by choice
};

// network: simplified, without rewrites.
Result<SpaceKernels> space_kernels(const Network& network, const SearchSpace& space,
                                   const std::string& target);

struct LayerTimes {
  double rest_ms = 0;
  std::vector<std::vector<double>> slots_ms;  // by slot, by choice; infinite where a kernel failed

  double predict(const Configuration& configuration) const;
};

// The times, measured where the records do not have them, and recorded at once. A kernel that
// cannot be compiled or timed makes its choices infinitely slow; one that every network needs is an
// error.
Result<LayerTimes> layer_times(KernelCache& cache, const SpaceKernels& kernels, Records& records,
                               const TimingOptions& options,
                               const std::function<void(int, int)>& progress = nullptr);

}  // namespace emulsion
