#include "kernels/stream_rate.h"

#include <atomic>
#include <vector>

#include "kernels/evict.h"
#include "kernels/threads_together.h"

namespace emulsion {

double best_stream_gbps(int threads) {
  constexpr int k_runs = 40;
  constexpr int64_t k_elements = 1 << 20;  // read in less than a scheduler's slice
  std::vector<KernelBuffer> buffers;
  for (int t = 0; t < threads; ++t) buffers.emplace_back(row_major({k_elements}));
  const auto put_out = [&](int thread) { evict({block_of(buffers[thread])}); };
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

}  // namespace emulsion
