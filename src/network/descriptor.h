// How a value lies in memory: a descriptor holds everything that lowering needs to address it, so
// that layout is a choice (of the plan) and not an assumption. choose_descriptors makes the default
// choice.
//
// The pointer of a tensor is that of its element (0, 0, ...); a rim lies before and after it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "network/element_type.h"
#include "network/op.h"
#include "network/tensor.h"

namespace emulsion {

struct TensorDescriptor {
  ElementType type = ElementType::f32;
  Shape shape;                   // ONNX order
  std::vector<int64_t> strides;  // elements, ONNX order
  int channel_block = 0;         // channels stored together innermost; 0: all of them
  Pad4 rim{0, 0, 0, 0};          // zeroed rows and columns around the image that may be read
  int parent = -1;               // the value this one is a slice of (concatenation), or -1
  int64_t parent_offset = 0;     // elements from the parent's first element to this one's

  bool operator==(const TensorDescriptor&) const = default;
};

// Row-major, as ONNX and NumPy have it.
TensorDescriptor row_major(const Shape& shape);
// N C H W stored channels innermost (n, y, x, c) with a rim around y and x.
TensorDescriptor channels_last(const Shape& shape, Pad4 rim = {0, 0, 0, 0});
// Elements from the start of the allocation to element (0,0,...), and in all: what an unsliced
// tensor occupies.
int64_t origin_offset(const TensorDescriptor& d);
int64_t storage_elements(const TensorDescriptor& d);

// "f32[1x64x32x32] strides=[73984,1,2176,64] rim=1,1,1,1": all that a kernel must know; parent is
// not in it.
std::string to_text(const TensorDescriptor& d);
Result<TensorDescriptor> parse_descriptor(const std::string& text);

}  // namespace emulsion
