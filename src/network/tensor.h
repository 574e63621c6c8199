// A dense array of floats with a shape in ONNX order (row-major, last dimension contiguous).
// Constants of a Network are shared, immutable Tensors. A Tensor without data is abstract: it has a
// shape and stands for weights that the holder does not have (a kernel's key, a parsed text form).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

using Shape = std::vector<int64_t>;

int64_t element_count(const Shape& shape);
std::string to_text(const Shape& shape);  // "1x64x32x32"; "scalar" for rank 0
Result<Shape> parse_shape(const std::string& text);

struct Tensor {
  Shape shape;
  std::vector<float> data;  // element_count(shape) values, or empty when abstract

  Tensor() = default;
  explicit Tensor(Shape shape_in, float fill = 0.0f);
  Tensor(Shape shape_in, std::vector<float> data_in);

  bool abstract() const { return data.empty() && element_count(shape) != 0; }
};

using Constant = std::shared_ptr<const Tensor>;

Constant constant(Shape shape, std::vector<float> data);
Constant abstract_constant(Shape shape);

// The largest difference over the largest magnitude expected; infinite where the shapes or the
// places of NaN and infinities differ.
double relative_to_largest(const Tensor& got, const Tensor& expected);

}  // namespace emulsion
