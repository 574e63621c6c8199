// How a kernel sees a tensor: the dimensions and the host pointer of its halide_buffer_t. No Halide
// here.
//
// An input's buffer includes its rim (minima are negative, host points at the rim's first element:
// the start of an unsliced allocation). An output's buffer is the shape alone (minima 0, host =
// element 0). All of it is fixed when a kernel is compiled: the generated code reads nothing but
// host, so that a caller may leave the other fields of a halide_buffer_t as they are.
#pragma once

#include <cstdint>
#include <vector>

#include "network/descriptor.h"

namespace emulsion {

struct BufferDimension {
  int min = 0, extent = 1, stride = 1;
  bool operator==(const BufferDimension&) const = default;
};

struct BufferLayout {
  std::vector<BufferDimension>
      dimensions;           // (c, x, y, n) for rank 4, else reversed: innermost first
  int64_t host_offset = 0;  // elements from the tensor's element (0, 0, ...) to host; <= 0
};

BufferLayout input_layout(const TensorDescriptor& d);
BufferLayout output_layout(const TensorDescriptor& d);

}  // namespace emulsion
