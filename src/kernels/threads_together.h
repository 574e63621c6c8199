// The same work on several threads at once, timed.
#pragma once

#include <algorithm>
#include <barrier>
#include <limits>
#include <thread>
#include <vector>

#include "kernels/stopwatch.h"

namespace emulsion {

// The seconds of the fastest of so many runs, from when all threads are ready until all are done.
// before(thread) is not timed.
template <class Before, class Work>
double least_seconds(int threads, int runs, const Before& before, const Work& work) {
  double least = std::numeric_limits<double>::infinity();
  std::barrier barrier(threads);
  const auto run_all = [&](int thread) {
    for (int run = 0; run < runs; ++run) {
      before(thread);
      barrier.arrive_and_wait();
      const Stopwatch stopwatch;
      work(thread);
      barrier.arrive_and_wait();
      if (thread == 0) least = std::min(least, stopwatch.seconds());
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(run_all, t);
  run_all(0);
  for (std::thread& thread : others) thread.join();
  return least;
}

}  // namespace emulsion
