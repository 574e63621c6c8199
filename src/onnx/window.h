// The window of convolutions and pools: kernel, strides, dilations, pads, auto_pad. Private to this
// folder.
#pragma once

#include "onnx/node.h"

namespace emulsion {

// Products of two window extents stay far below 2^31.
inline constexpr int64_t k_most_window = 32767;
inline constexpr int64_t k_most_image = int64_t{1} << 24;  // rows or columns

struct Window {
  Extent2 kernel{1, 1};
  Extent2 stride{1, 1};
  Extent2 dilation{1, 1};
  Pad4 pad{0, 0, 0, 0};
  Extent2 out{1, 1};  // output rows and columns, ceil_mode heeded
};

// From the node's attributes for an input x (refused unless it is N C H W). `kernel` is the
// weight's, or {0, 0} when the attribute kernel_shape must give it.
Result<Window> read_window(const Node& node, const Shape& x, Extent2 kernel);

}  // namespace emulsion
