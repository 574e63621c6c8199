// A kernel loaded into this process with a thread pool, seeded inputs and seeded constants: what is
// called to be timed, by the search's workers and by bench/layer_benchmark.cpp. It checks no
// output.
#pragma once

#include <filesystem>
#include <memory>
#include <string>

#include "lower/kernel_spec.h"

namespace emulsion {

class SeededKernel {
 public:
  // `library` is KernelCache::shared_library's of the spec's kernel, `name` the kernel's symbol.
  static Result<SeededKernel> load(const std::filesystem::path& library, const std::string& name,
                                   const KernelSpec& spec, int threads);
  int call() const;    // Halide's code, 0 when all is well
  void evict() const;  // puts inputs and constants out of every cache

 private:
  struct State;
  std::shared_ptr<const State> state_;
};

}  // namespace emulsion
