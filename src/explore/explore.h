// The whole exploration: measures, judges, searches and writes what was found to a folder. It may
// be killed at any moment; the same call goes on from what is on disk.
#pragma once

#include "explore/explore_options.h"
#include "kernels/kernel_cache.h"
#include "network/network.h"
#include "report/exploration_report.h"

namespace emulsion {

struct Explored {
  ExplorationReport report;
  Status status = ok();  // why it is not complete, or that there is no plan
};

// An error: nothing was found out yet that could be reported.
Result<Explored> explore(const Network& network, const ExploreOptions& options, KernelCache& cache);

}  // namespace emulsion
