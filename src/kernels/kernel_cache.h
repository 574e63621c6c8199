// Compiled kernels, kept on disk by the hash of their canonical text. Compilation runs in worker
// processes with limits on time and memory: a crash is an error value, not the end of the program.
// What the search measures is the cached object itself, and what ships is that object.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lower/kernel_spec.h"

namespace emulsion {

struct CompiledKernel {
  std::string name;              // C symbol
  std::filesystem::path object;  // object file, no runtime inside
};

struct WorkerLimits {
  double seconds = 120;
  size_t memory_bytes = size_t{4} << 30;
};

// Safe when several programs use one directory at once. An entry is NAME.o and NAME.txt, which has
// the canonical text and the object's size and hash; an entry that does not hold together is
// compiled again.
class KernelCache {
 public:
  // directory is made when missing. workers: how many worker processes compile at once.
  // worker_program: an executable that answers `<program> compile-kernel OBJECT` with the spec's
  // text on stdin (the emulsion program itself).
  KernelCache(std::filesystem::path directory, std::filesystem::path worker_program, int workers,
              WorkerLimits limits = {});

  // One result a spec, in order; equal specs are compiled once. progress(done, total) is called as
  // kernels finish. Completed specs only. Interrupted (Ctrl-C): the rest are errors with
  // ExitCode::interrupted.
  std::vector<Result<CompiledKernel>> compile(
      const std::vector<KernelSpec>& specs,
      const std::function<void(int, int)>& progress = nullptr);
  Result<CompiledKernel> compile(const KernelSpec& spec);

  // Halide's runtime for a target, compiled once.
  Result<std::filesystem::path> runtime_object(const std::string& target);
  // A shared library with the kernel and a runtime, for loading into a process.
  Result<std::filesystem::path> shared_library(const CompiledKernel& kernel,
                                               const std::string& target);

  const std::filesystem::path& directory() const { return directory_; }
  const std::filesystem::path& worker_program() const { return worker_program_; }
  int workers() const { return workers_; }

 private:
  // The entry's object; compiled by a worker that gets the text when the cache does not have it.
  Result<std::filesystem::path> object(const std::string& name, const std::string& text);

  std::filesystem::path directory_;
  std::filesystem::path worker_program_;
  int workers_;
  WorkerLimits limits_;
};

// Body of the worker's verb: reads a spec from stdin, writes the object. Returns an exit code.
int compile_kernel_worker(const std::string& object_path);

}  // namespace emulsion
