// Times the cached object itself, loaded in a worker process, in the conditions a network gives it.
#pragma once

#include "kernels/kernel_cache.h"

namespace emulsion {

struct KernelTime {
  double min_ms = 0, median_ms = 0;  // warm weights: called again and again
  double cold_min_ms = 0,
         cold_median_ms = 0;  // weights and input evicted from the caches before each call
  int calls = 0;
  // Register-only FMAs on one thread; 0: not measured. Right before and after the warm calls,
  // because clocks change, in GFLOP/s:
  double peak_gflops = 0;
  // and in the time of a warm call, right after each: GFLOP. Some processors run wide FMAs slower
  // for milliseconds after they ran beside loads.
  double fma_gflop = 0;
};

struct TimingOptions {
  int threads = 1;
  double seconds = 0.3;    // of measuring, per kernel
  bool with_fmas = false;  // peak_gflops, fma_gflop: for one thread and x86-64 targets
  WorkerLimits limits;
};

// One result a spec, in order, measured one after the other (equal specs once). The worker answers
// `<program> time-kernel ...`. progress counts compiled and measured kernels.
std::vector<Result<KernelTime>> time_kernels(
    KernelCache& cache, const std::vector<KernelSpec>& specs, const TimingOptions& options,
    const std::function<void(int, int)>& progress = nullptr);

// This machine's f32 FMA peak in GFLOP/s on that many threads together, measured now (a fifth of a
// second) by register-only FMAs compiled for the target: what no kernel for the target can exceed.
Result<double> measured_peak_gflops(KernelCache& cache, const std::string& target, int threads = 1);

// What a roofline is made of: that peak, and how fast so many threads together read memory that is
// in no cache.
struct MachineRates {
  double peak_gflops = 0, stream_gbps = 0;
};
Result<MachineRates> measured_rates(KernelCache& cache, const std::string& target, int threads);

// Body of the worker's verb; prints JSON. Returns an exit code.
int time_kernel_worker(const std::vector<std::string>& arguments);

}  // namespace emulsion
