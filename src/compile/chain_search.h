// Which neighbouring convs are computed as one kernel, by timing whole networks: what fusing saves
// depends on what the caches still hold.
#pragma once

#include <functional>

#include "autoschedule/records.h"
#include "compile/compile_network.h"

namespace emulsion {

struct ChainSearchOptions {
  CompileOptions compile;      // target, threads and compiler
  Records* records = nullptr;  // times that are known, and those that are measured
  std::function<bool()> over;  // nothing further is begun
};

struct ChainSearchResult {
  Plan plan;
  int tried = 0, taken = 0;  // of the kinds of chains, which were fused or taken apart
};

// Begins with the chains that the plan has, or those that are expected to pay, and fuses or takes
// apart all chains of the same shapes at a time, those with most data between their convs first.
// Interrupted: the best so far.
Result<ChainSearchResult> search_chains(const Network& network, const Plan& plan,
                                        KernelCache& cache, const ChainSearchOptions& options);

}  // namespace emulsion
