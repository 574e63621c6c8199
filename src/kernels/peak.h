// A loop of register-only FMAs, compiled for a target: what no kernel exceeds. fma_loop.h
// runs it.
#pragma once

#include <filesystem>

#include "kernels/kernel_cache.h"

namespace emulsion {

// The shared library with the loop, from the cache; an error for targets other than x86-64.
Result<std::filesystem::path> peak_library(KernelCache& cache, const std::string& target);

}  // namespace emulsion
