// The timing worker: `time-kernel LIBRARY KERNEL THREADS SECONDS [FMA_LIBRARY]` with the kernel's
// text on stdin, `time-kernel --peak FMA_LIBRARY THREADS` or `time-kernel --stream THREADS`. In a
// process of its own because a candidate may crash or hang.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <iostream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <thread>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

#include "base/random.h"
#include "kernels/call_arguments.h"
#include "kernels/loaded_kernel.h"
#include "kernels/shared_object.h"
#include "kernels/time_kernel.h"

namespace emulsion {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double middle_of(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct Block {
  const float* data;
  size_t elements;
};

// Puts memory out of every cache.
void evict([[maybe_unused]] const std::vector<Block>& blocks) {
#if defined(__x86_64__)
  constexpr size_t k_line = 64 / sizeof(float);
  for (const Block& block : blocks) {
    for (size_t i = 0; i < block.elements; i += k_line) _mm_clflush(block.data + i);
    if (block.elements > 0) _mm_clflush(block.data + block.elements - 1);
  }
  _mm_mfence();
#else
  // Larger than any last-level cache we know.
  static std::vector<char> sweep(size_t{256} << 20);
  for (size_t i = 0; i < sweep.size(); i += 64) ++reinterpret_cast<volatile char&>(sweep[i]);
#endif
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
  const auto start = Clock::now();
  while (static_cast<int>(times.size()) < least ||
         (seconds_since(start) < seconds && static_cast<int>(times.size()) < k_most)) {
    before();
    const auto begin = Clock::now();
    const int code = call();
    times.push_back(seconds_since(begin) * 1e3);
    if (code != 0) return failure("the kernel failed with Halide's error {}", code);
  }
  return Samples{*std::min_element(times.begin(), times.end()), middle_of(times),
                 static_cast<int>(times.size())};
}

// The kernel's seeded inputs, constants and output.
struct Operands {
  std::vector<KernelBuffer> inputs;
  std::vector<KernelBuffer> constants;
  KernelBuffer output;
};

Operands seeded_operands(const KernelSpec& spec, const std::vector<PackedConstant>& constants) {
  Operands operands{{}, {}, KernelBuffer(spec.output)};
  const auto fill = [](const TensorDescriptor& descriptor, const RandomStream& random, double low,
                       double high) {
    Tensor values(descriptor.shape);
    for (size_t i = 0; i < values.data.size(); ++i) {
      values.data[i] = static_cast<float>(random.uniform(i, low, high));
    }
    KernelBuffer buffer(descriptor);
    buffer.set(values);
    return buffer;
  };
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    operands.inputs.push_back(fill(spec.inputs[i], RandomStream(1, "input", i), -1.0, 1.0));
  }
  for (size_t i = 0; i < constants.size(); ++i) {
    int64_t elements = 1;
    for (const int extent : constants[i].extents) elements *= extent;
    // Positive: some constants are divisors.
    const RandomStream random(1, "constant", i);
    PackedConstant filled = constants[i];
    filled.data.resize(elements);
    for (size_t k = 0; k < filled.data.size(); ++k)
      filled.data[k] = static_cast<float>(random.uniform(k, 0.01, 0.1));
    operands.constants.push_back(stored_constant(filled));
  }
  return operands;
}

// A run shorter than a scheduler's slice.
constexpr double k_short_seconds = 0.001;

// The loop of peak.h, loaded.
class FmaLoop {
 public:
  static Result<FmaLoop> open(const std::string& library_path) {
    TRY(SharedObject library, SharedObject::open(library_path));
    TRY(const auto loop, library.find<Loop>("emulsion_peak_loop"));
    TRY(const auto flops, library.find<const long*>("emulsion_peak_flops"));
    return FmaLoop(std::move(library), loop, static_cast<double>(*flops));
  }

  void run(long iterations) const { loop_(iterations, 0.999f, 0.001f); }
  double gflop(long iterations) const { return 1e-9 * flops_ * static_cast<double>(iterations); }

  // That take so long or a little longer.
  long iterations_for(double seconds) const {
    long iterations = 1000;
    for (double took = 0; took < seconds; iterations *= 2) {
      const auto start = Clock::now();
      run(iterations);
      took = seconds_since(start);
    }
    return iterations;
  }

 private:
  using Loop = float (*)(long iterations, float a, float b);
  FmaLoop(SharedObject library, Loop loop, double flops)
      : library_(std::move(library)), loop_(loop), flops_(flops) {}

  SharedObject library_;
  Loop loop_;
  double flops_;  // of an iteration
};

// The seconds of the fastest of so many runs on all threads at once. before(thread) is not timed.
template <class Before, class Work>
double least_seconds(int threads, int runs, const Before& before, const Work& work) {
  double least = std::numeric_limits<double>::infinity();
  std::barrier barrier(threads);
  const auto run_all = [&](int thread) {
    for (int run = 0; run < runs; ++run) {
      before(thread);
      barrier.arrive_and_wait();
      const auto start = Clock::now();
      work(thread);
      barrier.arrive_and_wait();
      if (thread == 0) least = std::min(least, seconds_since(start));
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(run_all, t);
  run_all(0);
  for (std::thread& thread : others) thread.join();
  return least;
}

// The best rate of so many short runs on all threads at once, in GFLOP/s.
double best_gflops(const FmaLoop& fmas, int threads, int runs) {
  const long iterations = fmas.iterations_for(k_short_seconds);
  const double least = least_seconds(
      threads, runs, [](int) {}, [&](int) { fmas.run(iterations); });
  return fmas.gflop(iterations) * threads / least;
}

// The best rate at which all threads at once read memory of their own that is in no cache, in GB/s.
double best_stream_gbps(int threads) {
  constexpr int k_runs = 40;
  constexpr int64_t k_elements = 1 << 20;  // read in less than a scheduler's slice
  std::vector<KernelBuffer> buffers;
  for (int t = 0; t < threads; ++t) buffers.emplace_back(row_major({k_elements}));
  const auto put_out = [&](int thread) { evict({{buffers[thread].origin(), k_elements}}); };
  std::atomic<float> sum = 0;  // so that all is read
  const auto read = [&](int thread) {
    constexpr int64_t k_line = 64 / sizeof(float);
    const float* const data = buffers[thread].origin();
    float total = 0;
    for (int64_t i = 0; i < k_elements; i += k_line) total += data[i];
    sum = total;
  };
  const double seconds = least_seconds(threads, k_runs, put_out, read);
  return 1e-9 * static_cast<double>(sizeof(float) * k_elements * threads) / seconds;
}

// See KernelTime::fma_gflop.
template <class Call>
double fma_gflop(const FmaLoop& fmas, double seconds, const Call& call) {
  constexpr double k_run_seconds = 0.0001;
  const long iterations = fmas.iterations_for(k_run_seconds);
  std::vector<double> gflops;
  const auto start = Clock::now();
  do {
    call();
    auto begin = Clock::now();
    call();
    const double took = seconds_since(begin);
    fmas.run(iterations / 4);  // changing over to FMAs alone takes some microseconds
    begin = Clock::now();
    fmas.run(iterations);
    gflops.push_back(fmas.gflop(iterations) / seconds_since(begin) * took);
  } while (seconds_since(start) < seconds);
  return middle_of(std::move(gflops));
}

struct TimedCall {
  std::string library_path, name;
  int threads = 1;
  double seconds = 0;
  std::string fma_library_path;  // "": not with FMAs
};

Result<KernelTime> time_in_this_process(const TimedCall& timed, const KernelSpec& spec) {
  TRY(const SharedObject library, SharedObject::open(timed.library_path));
  TRY(const auto entry, library.find<void*>(timed.name));
  TRY(const auto set_threads, library.find<int (*)(int)>("halide_set_num_threads"));
  set_threads(timed.threads);
  const std::vector<PackedConstant> constants = pack_constants(spec, spec.op);
  Operands operands = seeded_operands(spec, constants);

  std::vector<const float*> inputs, packed;
  std::vector<Block> evicted;
  for (const KernelBuffer& buffer : operands.inputs) {
    inputs.push_back(buffer.origin());
    evicted.push_back({buffer.origin() - origin_offset(buffer.descriptor()),
                       static_cast<size_t>(storage_elements(buffer.descriptor()))});
  }
  for (const KernelBuffer& buffer : operands.constants) {
    packed.push_back(buffer.origin());
    evicted.push_back(
        {buffer.origin(), static_cast<size_t>(storage_elements(buffer.descriptor()))});
  }
  const CallArguments arguments(spec, constants, inputs, packed, operands.output.origin());
  const auto call = [&] { return arguments.call(entry); };
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
                              timed.seconds * 0.3, 3, [&] { evict(evicted); }, call));
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
