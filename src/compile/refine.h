// Better algorithms and schedules by measuring: for the distinct convs of a network, the heaviest
// first, the alternatives that are expected to be fast are compiled and timed with cold caches, as
// a network finds them, and the fastest is kept.
#pragma once

#include <filesystem>

#include "kernels/kernel_cache.h"
#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

struct RefineOptions {
  std::string target = "host";
  int threads = 1;
  double seconds = 60;  // compiling included; the few kernels in hand when it is over are finished
  std::filesystem::path records;  // times that are known, and those that are measured; empty: none
};

// The plan with every choice spelled out. Interrupted (Ctrl-C): the best so far.
Result<Plan> refine(const Network& network, const Plan& plan, KernelCache& cache,
                    const RefineOptions& options);

}  // namespace emulsion
