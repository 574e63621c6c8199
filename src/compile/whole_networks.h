// The last stage of a search: whole networks, timed in turns. Kernels timed alone are not the whole
// truth, so second-best kernels get their chance in the network, and so does the network as it is
// without any search. How weights come from memory shows only here: with and without huge pages,
// and prefetched by the layer before.
#pragma once

#include <functional>
#include <vector>

#include "autoschedule/records.h"
#include "compile/tolerance.h"

namespace emulsion {

// A kernel that could take the place of another in some calls.
struct Variant {
  std::vector<size_t> calls;
  KernelSpec spec;
};

struct WholeNetworkOptions {
  CompileOptions compile;                 // target, threads and compiler
  const ToleranceCheck* check = nullptr;  // null: nothing risky is taken
  Records* records = nullptr;             // times that are known, and those that are measured
  std::function<bool()> over;             // no further variant is begun
};

struct WholeNetworkResult {
  int tried = 0, taken = 0;  // variants, of kernels or of how weights come from memory
  bool by_default = false;   // the network without a search is no slower
  double difference = 0;     // of what is left, where something in it is risky
};

// Makes the calls' specs those of the fastest network: of the one given, the one with `defaults`
// (one spec a call), and variants of the better of them; and prepared.streaming to match. One that
// is not faster by more than noise, in minima and medians, does not replace another, and the one
// with defaults gives way only to what is no slower. Interrupted: the best so far.
Result<WholeNetworkResult> improve_as_whole(const Network& network, PreparedNetwork& prepared,
                                            const std::vector<KernelSpec>& defaults,
                                            const std::vector<Variant>& variants,
                                            KernelCache& cache, const WholeNetworkOptions& options);

}  // namespace emulsion
