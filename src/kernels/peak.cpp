#include "kernels/peak.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/hash.h"
#include "kernels/cache_entry.h"
#include "kernels/time_kernel.h"
#include "kernels/worker.h"

namespace emulsion {
namespace {

// What clang must know of a Halide target, widest first.
struct PeakIsa {
  const char* feature;  // of the Halide target; the last row takes the rest
  std::vector<std::string> flags;
  int vector_bytes;
};

const std::vector<PeakIsa>& peak_isas() {
  static const std::vector<PeakIsa> isas = {
      {"avx512", {"-mavx512f", "-mfma"}, 64},
      {"fma", {"-mavx2", "-mfma"}, 32},
      {"avx", {"-mavx"}, 32},
      {"", {"-msse4.1"}, 16},
  };
  return isas;
}

// Enough independent sums to hide an FMA's latency (4 to 5 cycles, 2 a cycle), few enough for 16
// registers. The factor and the addend are arguments so that nothing can be folded.
constexpr const char* k_peak_source = R"(
typedef float vec __attribute__((vector_size(VECTOR_BYTES)));
enum { lanes = VECTOR_BYTES / 4, sums = 12 };
extern const long emulsion_peak_flops;
const long emulsion_peak_flops = 2L * lanes * sums;
float emulsion_peak_loop(long iterations, float factor, float addend) {
  vec a, b, s[sums];
  for (int l = 0; l < lanes; ++l) {
    a[l] = factor;
    b[l] = addend;
  }
#pragma clang loop unroll(full)
  for (int k = 0; k < sums; ++k) s[k] = b * (float)k;
  for (long i = 0; i < iterations; ++i) {
#pragma clang loop unroll(full)
    for (int k = 0; k < sums; ++k) s[k] = s[k] * a + b;
  }
  float total = 0;
#pragma clang loop unroll(full)
  for (int k = 0; k < sums; ++k) {
    for (int l = 0; l < lanes; ++l) total += s[k][l];
  }
  return total;
}
)";

// That the worker measures and prints under such a name.
Result<double> rate(KernelCache& cache, const char* name,
                    const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {cache.worker_program().string(), "time-kernel"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  TRY(const std::string output, run_worker(argv, "", WorkerLimits{}));
  const auto json = nlohmann::json::parse(output, nullptr, false);
  const double rate = json.is_object() ? json.value(name, 0.0) : 0.0;
  if (rate <= 0) return failure("the timing worker printed no {}: {}", name, output);
  return rate;
}

}  // namespace

Result<std::filesystem::path> peak_library(KernelCache& cache, const std::string& target) {
  if (!target.starts_with("x86-64")) {
    return error("the measured peak is known for x86-64 targets, not for {}", target);
  }
  const PeakIsa* isa = &peak_isas().back();
  for (const PeakIsa& row : peak_isas()) {
    if (target.find(std::string("-") + row.feature) != std::string::npos) {
      isa = &row;
      break;
    }
  }
  const TemporaryDirectory folder;
  const auto source = folder.path() / "peak.c";
  const auto library = folder.path() / "peak.so";
  TRY_OK(write_file(source, k_peak_source));
  std::vector<std::string> argv = {"clang",
                                   "-O2",
                                   "-std=c11",
                                   "-fPIC",
                                   "-shared",
                                   "-nostdlib",
                                   "-fuse-ld=lld",
                                   "-ffp-contract=fast",
                                   fmt::format("-DVECTOR_BYTES={}", isa->vector_bytes)};
  argv.insert(argv.end(), isa->flags.begin(), isa->flags.end());
  std::string text = k_peak_source;
  for (const std::string& argument : argv) text += argument + "\n";
  const CacheEntry entry{cache.directory() / fmt::format("peak_{}.so", hash_text(text)), text};
  if (holds(entry)) return entry.file;
  argv.insert(argv.end(), {"-o", library.string(), source.string()});
  TRY_OK(run_worker(argv, "", WorkerLimits{}));
  TRY(const std::string content, read_file(library));
  TRY_OK(put(entry, content));
  return entry.file;
}

Result<double> measured_peak_gflops(KernelCache& cache, const std::string& target, int threads) {
  TRY(const auto library, peak_library(cache, target));
  return rate(cache, "peak_gflops", {"--peak", library.string(), fmt::format("{}", threads)});
}

Result<MachineRates> measured_rates(KernelCache& cache, const std::string& target, int threads) {
  MachineRates rates;
  TRY(rates.peak_gflops, measured_peak_gflops(cache, target, threads));
  TRY(rates.stream_gbps, rate(cache, "stream_gbps", {"--stream", fmt::format("{}", threads)}));
  return rates;
}

}  // namespace emulsion
