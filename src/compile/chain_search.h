// Which neighbouring convs are computed as one kernel, by timing whole networks: what fusing saves
// depends on what the caches still hold.
#pragma once

#include <functional>

#include "compile/network_timer.h"

namespace emulsion {

struct ChainSearchOptions {
  std::string target;  // resolved
  int threads = 1;
  // Times two networks, as NetworkTimer::time does. An error: the second one does not work, and is
  // not taken.
  std::function<Result<NetworkRecord>(PlannedNetwork& original, PlannedNetwork& changed)> time;
  std::function<bool()> over;  // nothing further is begun
};

struct ChainSearchResult {
  Plan plan;
  int tried = 0, taken = 0;  // kinds of chains fused or taken apart
};

// Begins with the chains that the plan has, or those that are expected to pay, and fuses or takes
// apart all chains of the same shapes at a time, those with most data between their convs first.
// Interrupted: the best so far.
Result<ChainSearchResult> search_chains(const Network& network, const Plan& plan,
                                        const ChainSearchOptions& options);

}  // namespace emulsion
