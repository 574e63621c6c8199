#include "kernels/fma_loop.h"

#include "kernels/threads_together.h"

namespace emulsion {

Result<FmaLoop> FmaLoop::open(const std::filesystem::path& library_path) {
  TRY(SharedObject library, SharedObject::open(library_path));
  TRY(const auto loop, library.find<Loop>("emulsion_peak_loop"));
  TRY(const auto flops, library.find<const long*>("emulsion_peak_flops"));
  return FmaLoop(std::move(library), loop, static_cast<double>(*flops));
}

long FmaLoop::iterations_for(double seconds) const {
  long iterations = 1000;
  for (double took = 0; took < seconds; iterations *= 2) {
    const Stopwatch stopwatch;
    run(iterations);
    took = stopwatch.seconds();
  }
  return iterations;
}

double best_gflops(const FmaLoop& fmas, int threads, int runs) {
  constexpr double k_short_seconds = 0.001;  // shorter than a scheduler's slice
  const long iterations = fmas.iterations_for(k_short_seconds);
  const double least = least_seconds(
      threads, runs, [](int) {}, [&](int) { fmas.run(iterations); });
  return fmas.gflop(iterations) * threads / least;
}

}  // namespace emulsion
