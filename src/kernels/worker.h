// Runs a worker process of kernels/ and makes an error value of whatever goes wrong in it. Internal
// to kernels/.
#pragma once

#include <string>
#include <vector>

#include "kernels/kernel_cache.h"

namespace emulsion {

// The worker's stdout. Errors: its own message, its signal, its time limit, an interrupt.
Result<std::string> run_worker(const std::vector<std::string>& argv, const std::string& input,
                               const WorkerLimits& limits);

// What a compile worker is asked for to make Halide's runtime instead of a kernel.
std::string runtime_request(const std::string& target);

}  // namespace emulsion
