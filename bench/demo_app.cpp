// An app with two compiled networks in it: runs both on the same image, in turns of several runs,
// as an app that uses one of them would, and compares their times.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "faster.h"
#include "original.h"

int main() {
  using Clock = std::chrono::steady_clock;
  std::vector<float> image(3 * 32 * 32, 0.5f), scores(10);
  double original_ms = 1e9, faster_ms = 1e9;
  const auto timed = [&](int (*run)(const float*, float*), double& best) {
    for (int i = 0; i < 20; ++i) {
      const auto start = Clock::now();
      if (run(image.data(), scores.data()) != 0) std::exit(1);
      best =
          std::min(best, std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
  };
  for (int turn = 0; turn < 10; ++turn) {
    timed(original_run, original_ms);
    timed(faster_run, faster_ms);
  }
  std::printf("%-34s %8s\n", "network", "time");
  std::printf("%-34s %8.2f\n", "original", 1.0);
  std::printf("%-34s %8.2f\n", "faster (architecture to fine-tune)", faster_ms / original_ms);
  std::printf("speed-up of the minima of 200 runs, 20 a turn: %.2fx\n", original_ms / faster_ms);
}
