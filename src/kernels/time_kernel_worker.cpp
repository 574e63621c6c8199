// The timing worker: `time-kernel LIBRARY KERNEL THREADS SECONDS [FMA_LIBRARY]` with the kernel's
// text on stdin, `time-kernel --peak FMA_LIBRARY THREADS` or `time-kernel --stream THREADS`. In a
// process of its own because a candidate may crash or hang.
#include <algorithm>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>

#include "kernels/fma_loop.h"
#include "kernels/seeded_kernel.h"
#include "kernels/stream_rate.h"
#include "kernels/time_kernel.h"

namespace emulsion {
namespace {

double middle_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Samples {
  double min_ms = 0, median_ms = 0;
  int calls = 0;
};

// Calls for about that long, at least `least` times. before() is not timed.
template <class Before, class Call>
Result<Samples> sample(double seconds, int least, const Before& before, const Call& call) {
  constexpr int k_most = 20000;
  std::vector<double> times;
  const Stopwatch whole;
  while (static_cast<int>(times.size()) < least ||
         (whole.seconds() < seconds && static_cast<int>(times.size()) < k_most)) {
    before();
    const Stopwatch stopwatch;
    const int code = call();
    times.push_back(stopwatch.seconds() * 1e3);
    if (code != 0) return failure("the kernel failed with Halide's error {}", code);
  }
  return Samples{*std::min_element(times.begin(), times.end()), middle_of(times),
                 static_cast<int>(times.size())};
}

// See KernelTime::fma_gflop.
template <class Call>
double fma_gflop(const FmaLoop& fmas, double seconds, const Call& call) {
  const long iterations = fmas.iterations_for(k_fmas_after_seconds);
  std::vector<double> gflop;
  const Stopwatch stopwatch;
  do {
    const CallThenFmas timed = call_then_fmas(fmas, iterations, call);
    gflop.push_back(timed.fma_gflops * timed.call_seconds);
  } while (stopwatch.seconds() < seconds);
  return middle_of(std::move(gflop));
}

struct TimedCall {
  std::string library_path, name;
  int threads = 1;
  double seconds = 0;
  std::string fma_library_path;  // "": not with FMAs
};

Result<KernelTime> time_in_this_process(const TimedCall& timed, const KernelSpec& spec) {
  TRY(const SeededKernel kernel,
      SeededKernel::load(timed.library_path, timed.name, spec, timed.threads));
  const auto call = [&] { return kernel.call(); };
  // The first calls pay for page faults, thread starts and the clock's ramp.
  TRY_OK(sample(
      timed.seconds / 10, 1, [] {}, call));
  std::optional<FmaLoop> fmas;
  if (!timed.fma_library_path.empty()) {
    TRY(fmas, FmaLoop::open(timed.fma_library_path));
  }
  constexpr int k_runs = 20;
  const double before = fmas ? best_gflops(*fmas, 1, k_runs) : 0;
  TRY(const Samples warm, sample(
                              timed.seconds * 0.6, 3, [] {}, call));
  const double after = fmas ? best_gflops(*fmas, 1, k_runs) : 0;
  TRY(const Samples cold, sample(
                              timed.seconds * 0.3, 3, [&] { kernel.evict(); }, call));
  KernelTime time{warm.min_ms, warm.median_ms, cold.min_ms, cold.median_ms, warm.calls};
  time.peak_gflops = std::max(before, after);
  if (fmas) time.fma_gflop = fma_gflop(*fmas, timed.seconds * 0.6, call);
  return time;
}

Result<double> peak_in_this_process(const std::string& library_path, int threads) {
  constexpr int k_runs = 100;
  TRY(const FmaLoop fmas, FmaLoop::open(library_path));
  return best_gflops(fmas, threads, k_runs);
}

Result<nlohmann::json> answer(const std::vector<std::string>& arguments) {
  if (arguments.size() == 3 && arguments[0] == "--peak") {
    TRY(const double gflops, peak_in_this_process(arguments[1], std::atoi(arguments[2].c_str())));
    return nlohmann::json{{"peak_gflops", gflops}};
  }
  if (arguments.size() == 2 && arguments[0] == "--stream")
    return nlohmann::json{{"stream_gbps", best_stream_gbps(std::atoi(arguments[1].c_str()))}};
  if (arguments.size() != 4 && arguments.size() != 5)
    return error("time-kernel: LIBRARY KERNEL THREADS SECONDS [FMA_LIBRARY]");
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  TRY(const KernelSpec spec, parse_kernel_spec(text));
  TRY(const KernelTime time,
      time_in_this_process(
          {arguments[0], arguments[1], std::atoi(arguments[2].c_str()),
           std::atof(arguments[3].c_str()), arguments.size() == 5 ? arguments[4] : ""},
          spec));
  return nlohmann::json{{"min_ms", time.min_ms},
                        {"median_ms", time.median_ms},
                        {"cold_min_ms", time.cold_min_ms},
                        {"cold_median_ms", time.cold_median_ms},
                        {"calls", time.calls},
                        {"peak_gflops", time.peak_gflops},
                        {"fma_gflop", time.fma_gflop}};
}

}  // namespace

int time_kernel_worker(const std::vector<std::string>& arguments) {
  const auto json = answer(arguments);
  if (json.ok()) {
    fmt::print("{}\n", json->dump());
    return 0;
  }
  fmt::print(stderr, "{}\n", json.error().message);
  return static_cast<int>(json.error().code);
}

}  // namespace emulsion
