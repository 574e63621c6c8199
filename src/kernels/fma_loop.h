// The loop of peak.h, loaded into this process: the peak as it is now, and what FMAs do right after
// a kernel's call. For code that times kernels; measured_peak_gflops measures in a worker process.
#pragma once

#include <filesystem>

#include "kernels/shared_object.h"
#include "kernels/stopwatch.h"

namespace emulsion {

class FmaLoop {
 public:
  static Result<FmaLoop> open(const std::filesystem::path& library);

  void run(long iterations) const { loop_(iterations, 0.999f, 0.001f); }
  double gflop(long iterations) const { return 1e-9 * flops_ * static_cast<double>(iterations); }
  // That take so long or up to twice as long.
  long iterations_for(double seconds) const;

 private:
  using Loop = float (*)(long iterations, float a, float b);
  FmaLoop(SharedObject library, Loop loop, double flops)
      : library_(std::move(library)), loop_(loop), flops_(flops) {}

  SharedObject library_;
  Loop loop_;
  double flops_;  // of an iteration
};

// The best rate of so many runs of a millisecond or two on all threads at once, in GFLOP/s.
double best_gflops(const FmaLoop& fmas, int threads, int runs);

// A warm call and the FMAs right after it.
struct CallThenFmas {
  double call_seconds = 0;
  double fma_gflops = 0;  // GFLOP/s
};
inline constexpr double k_fmas_after_seconds = 0.0001;

// iterations: those for k_fmas_after_seconds.
template <class Call>
CallThenFmas call_then_fmas(const FmaLoop& fmas, long iterations, const Call& call) {
  call();
  const Stopwatch calling;
  call();
  const double call_seconds = calling.seconds();
  fmas.run(iterations / 4);  // changing over to FMAs alone takes some microseconds
  const Stopwatch multiplying;
  fmas.run(iterations);
  return {call_seconds, fmas.gflop(iterations) / multiplying.seconds()};
}

}  // namespace emulsion
