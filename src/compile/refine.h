// Better schedules by measuring: for the distinct convs of a network, the heaviest first, each
// algorithm's alternatives are compiled and timed, and the fastest is kept.
#pragma once

#include "kernels/kernel_cache.h"
#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

struct RefineOptions {
  std::string target = "host";
  int threads = 1;
  double seconds = 60;  // compiling included; the kernel in hand when it is over is finished
};

// The plan with every choice spelled out. Interrupted (Ctrl-C): the best so far.
Result<Plan> refine(const Network& network, const Plan& plan, KernelCache& cache,
                    const RefineOptions& options);

}  // namespace emulsion
