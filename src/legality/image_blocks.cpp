#include "legality/image_blocks.h"

#include <algorithm>

namespace emulsion {
namespace {

constexpr int k_blocks = 8;
// Larger batches gain nothing, and kernels are compiled for each size.
constexpr int64_t k_largest_batch = 32;

int64_t bytes_per_image(const Network& network) {
  int64_t count = 0;
  for (const Value& value : network.values) {
    if (!value.shape.empty()) count += element_count(value.shape) / value.shape[0];
  }
  return 2 * count * static_cast<int64_t>(sizeof(float));  // and its gradient
}

}  // namespace

ImageBlocks image_blocks(const Network& network, int64_t images, int workers, size_t memory_bytes) {
  ImageBlocks result;
  result.blocks = static_cast<int>(std::min<int64_t>(k_blocks, images));
  result.block = images / result.blocks;
  const int64_t memory = static_cast<int64_t>(memory_bytes) / std::clamp(workers, 1, result.blocks);
  const int64_t most = std::min(k_largest_batch, memory / bytes_per_image(network));
  for (int64_t batch = std::min(result.block, most); batch > 1; --batch) {
    if (result.block % batch != 0) continue;
    result.batch = batch;
    break;
  }
  return result;
}

}  // namespace emulsion
