// How many images of a trained network's data are worked on at once.
#pragma once

#include <cstdint>

#include "network/network.h"

namespace emulsion {

// Images in equal blocks, which are units of parallel work and of error estimates, and blocks in
// equal batches; images beyond the last whole block are left out.
struct ImageBlocks {
  int blocks = 1;
  int64_t block = 1, batch = 1;  // images

  int64_t images() const { return blocks * block; }
};

// With values and gradients of a batch for each worker in about memory_bytes. network: for any
// batch; its shapes tell what an image takes.
ImageBlocks image_blocks(const Network& network, int64_t images, int workers, size_t memory_bytes);

}  // namespace emulsion
