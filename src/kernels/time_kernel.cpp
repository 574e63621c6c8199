#include "kernels/time_kernel.h"

#include <map>
#include <nlohmann/json.hpp>

#include "base/interrupt.h"
#include "kernels/peak.h"
#include "kernels/worker.h"

namespace emulsion {
namespace {

Result<KernelTime> time_kernel(KernelCache& cache, const KernelSpec& spec,
                               const CompiledKernel& compiled, const TimingOptions& options) {
  if (interrupted()) return Error{"interrupted", ExitCode::interrupted};
  TRY(const std::filesystem::path library, cache.shared_library(compiled, spec.target));
  std::vector<std::string> command = {cache.worker_program().string(),
                                      "time-kernel",
                                      library.string(),
                                      compiled.name,
                                      fmt::format("{}", options.threads),
                                      fmt::format("{}", options.seconds)};
  if (options.with_fmas) {
    TRY(const std::filesystem::path fmas, peak_library(cache, spec.target));
    command.push_back(fmas.string());
  }
  TRY(const std::string output, run_worker(command, to_text(spec), options.limits));
  const auto json = nlohmann::json::parse(output, nullptr, false);
  if (!json.is_object()) return failure("the timing worker printed no JSON: {}", output);
  KernelTime time;
  time.min_ms = json.value("min_ms", 0.0);
  time.median_ms = json.value("median_ms", 0.0);
  time.cold_min_ms = json.value("cold_min_ms", 0.0);
  time.cold_median_ms = json.value("cold_median_ms", 0.0);
  time.calls = json.value("calls", 0);
  time.peak_gflops = json.value("peak_gflops", 0.0);
  time.fma_gflop = json.value("fma_gflop", 0.0);
  return time;
}

}  // namespace

std::vector<Result<KernelTime>> time_kernels(KernelCache& cache,
                                             const std::vector<KernelSpec>& specs,
                                             const TimingOptions& options,
                                             const std::function<void(int, int)>& progress) {
  const auto compiled = cache.compile(specs, [&](int done, int total) {
    if (progress) progress(done, 2 * total);
  });
  std::map<std::string, Result<KernelTime>> times;
  std::map<std::string, int> names;
  for (const KernelSpec& spec : specs) names.emplace(kernel_name(spec), 0);
  const int total = static_cast<int>(names.size());

  std::vector<Result<KernelTime>> results;
  results.reserve(specs.size());
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!compiled[i].ok()) {
      results.push_back(compiled[i].error());
      continue;
    }
    auto at = times.find(compiled[i]->name);
    if (at == times.end()) {
      auto time = time_kernel(cache, specs[i], *compiled[i], options);
      if (!time.ok() && time.error().code != ExitCode::interrupted) {
        time = time.error().in("timing kernel " + compiled[i]->name);
      }
      at = times.emplace(compiled[i]->name, std::move(time)).first;
      if (progress) progress(total + static_cast<int>(times.size()), 2 * total);
    }
    results.push_back(at->second);
  }
  return results;
}

}  // namespace emulsion
