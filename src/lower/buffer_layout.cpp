#include "lower/buffer_layout.h"

namespace emulsion {

namespace {

BufferDimension dimension(const TensorDescriptor& d, size_t axis, int before = 0, int after = 0) {
  return {-before, static_cast<int>(d.shape[axis]) + before + after,
          static_cast<int>(d.strides[axis])};
}

}  // namespace

BufferLayout output_layout(const TensorDescriptor& d) {
  BufferLayout layout;
  if (d.shape.size() == 4) {
    for (const size_t axis : {1, 3, 2, 0}) layout.dimensions.push_back(dimension(d, axis));
  } else {
    for (size_t axis = d.shape.size(); axis-- > 0;) layout.dimensions.push_back(dimension(d, axis));
  }
  return layout;
}

BufferLayout input_layout(const TensorDescriptor& d) {
  BufferLayout layout = output_layout(d);
  if (d.shape.size() == 4) {
    const auto [top, left, bottom, right] = d.rim;
    layout.dimensions[1] = dimension(d, 3, left, right);
    layout.dimensions[2] = dimension(d, 2, top, bottom);
    layout.host_offset = -(d.strides[3] * left + d.strides[2] * top);
  }
  return layout;
}

}  // namespace emulsion
