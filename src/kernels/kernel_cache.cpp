#include "kernels/kernel_cache.h"

#include <csignal>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>

#include "base/file.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "kernels/cache_entry.h"
#include "kernels/worker.h"

namespace emulsion {
namespace fs = std::filesystem;

KernelCache::KernelCache(fs::path directory, fs::path worker_program, int workers,
                         WorkerLimits limits)
    : directory_(std::move(directory)),
      worker_program_(std::move(worker_program)),
      workers_(workers),
      limits_(limits) {
  EMULSION_CHECK(workers_ >= 1);
}

Result<fs::path> KernelCache::object(const std::string& name, const std::string& text) {
  const CacheEntry entry{directory_ / (name + ".o"), text};
  if (holds(entry)) return entry.file;
  if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
  TRY_OK(make_directory(directory_));
  // The worker writes elsewhere: nothing half-written ever is in the cache.
  const TemporaryDirectory folder;
  const fs::path fresh = folder.path() / "kernel.o";
  TRY_OK(run_worker({worker_program_.string(), "compile-kernel", fresh.string()}, text, limits_));
  TRY(const std::string content, read_file(fresh));
  if (content.empty()) return failure("the compile worker wrote an empty object");
  TRY_OK(put(entry, content));
  return entry.file;
}

Result<CompiledKernel> KernelCache::compile(const KernelSpec& spec) {
  const std::string name = kernel_name(spec);
  auto path = object(name, to_text(spec));
  if (!path.ok()) {
    if (path.error().code == ExitCode::interrupted) return path.error();
    return path.error().in(fmt::format("kernel {} ({}, {} [{}])", name, op_name(spec.op),
                                       spec.algorithm, spec.schedule));
  }
  return CompiledKernel{name, *path};
}

std::vector<Result<CompiledKernel>> KernelCache::compile(
    const std::vector<KernelSpec>& specs, const std::function<void(int, int)>& progress) {
  std::map<std::string, int> place;  // of a kernel in `distinct`
  std::vector<int> distinct;         // the first spec of each kernel
  std::vector<int> kernel_of(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    const auto [at, fresh] =
        place.try_emplace(kernel_name(specs[i]), static_cast<int>(distinct.size()));
    if (fresh) distinct.push_back(static_cast<int>(i));
    kernel_of[i] = at->second;
  }

  const int total = static_cast<int>(distinct.size());
  std::vector<std::optional<Result<CompiledKernel>>> outcomes(total);
  std::mutex mutex;
  int done = 0;
  parallel_for(total, workers_, [&](int i) {
    outcomes[i] = compile(specs[distinct[i]]);
    const std::lock_guard lock(mutex);
    ++done;
    if (progress) progress(done, total);
  });

  std::vector<Result<CompiledKernel>> results;
  results.reserve(specs.size());
  for (const int kernel : kernel_of) results.push_back(*outcomes[kernel]);
  return results;
}

Result<fs::path> KernelCache::runtime_object(const std::string& target) {
  const std::string text = runtime_request(target);
  auto path = object("runtime_" + hash_text(text), text);
  if (!path.ok() && path.error().code != ExitCode::interrupted) {
    return path.error().in("Halide's runtime for " + target);
  }
  return path;
}

Result<fs::path> KernelCache::shared_library(const CompiledKernel& kernel,
                                             const std::string& target) {
  TRY(const fs::path runtime, runtime_object(target));
  TRY(const std::string object, read_file(kernel.object));
  const CacheEntry entry{directory_ / (kernel.name + "_shared.so"),
                         fmt::format("shared library of {} {} and {}", kernel.name,
                                     hash_text(object), runtime.filename().string())};
  if (holds(entry)) return entry.file;
  const TemporaryDirectory folder;
  const fs::path fresh = folder.path() / "kernel.so";
  // -Bsymbolic: the kernel calls the runtime in its own library, whatever else the process has
  // loaded.
  TRY_OK(run_worker({"ld.lld", "-shared", "-Bsymbolic", "-s", "-z", "noexecstack", "-o",
                     fresh.string(), kernel.object.string(), runtime.string()},
                    "", limits_));
  TRY(const std::string content, read_file(fresh));
  TRY_OK(put(entry, content));
  return entry.file;
}

}  // namespace emulsion
