// Puts memory out of every cache.
#pragma once

#include <vector>

#include "kernels/loaded_kernel.h"

namespace emulsion {

struct Block {
  const float* data = nullptr;
  size_t elements = 0;
};
Block block_of(const KernelBuffer& buffer);

void evict(const std::vector<Block>& blocks);

}  // namespace emulsion
