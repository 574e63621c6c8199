// Tensors known at import time: weights, and the integers of shape arithmetic. Private to this
// folder. Integer and bool tensors exist only here; a Network has float32 values alone.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "network/tensor.h"
#include "onnx/proto.h"

namespace emulsion {

// Beyond these a file is taken for a mistake, or for an attack: elements of one tensor at run time
// and in a file (8 GiB), of one that is computed or made from nothing while importing, and of all
// of those together.
inline constexpr int64_t k_most_elements = int64_t{1} << 31;
inline constexpr int64_t k_most_known_elements = int64_t{1} << 28;
inline constexpr int64_t k_most_made_elements = int64_t{1} << 24;
inline constexpr int64_t k_most_known_in_all = int64_t{1} << 30;

struct Known {
  int type = onnx::TensorProto::FLOAT;  // TensorProto.DataType, as in the file
  Shape shape;
  Constant floats;  // FLOAT; and FLOAT16, BFLOAT16, DOUBLE rounded to float
  std::shared_ptr<const std::vector<int64_t>> ints;  // every integer type and BOOL

  bool is_float() const { return floats != nullptr; }
};

Known known_floats(Shape shape, std::vector<float> values, int type = onnx::TensorProto::FLOAT);
Known known_ints(Shape shape, std::vector<int64_t> values, int type = onnx::TensorProto::INT64);

bool is_float_type(int type);
bool is_integer_type(int type);  // BOOL included
// "FLOAT16", or "23" for what this build has no name for.
std::string type_name(int type);

// The number of elements, or an error when an extent is negative or there are more than `most`.
Result<int64_t> checked_count(const Shape& shape, int64_t most);

// Elements index[0], index[1], ... of x under another shape.
Known take(const Known& x, Shape shape, const std::vector<int64_t>& index);
// Element i of the result is x's element offset + sum(i[d] strides[d]), for i in shape.
Known take_strided(const Known& x, Shape shape, const std::vector<int64_t>& strides,
                   int64_t offset = 0);
// The same sums as a list, row-major.
std::vector<int64_t> strided_indices(const Shape& shape, const std::vector<int64_t>& strides);
std::vector<int64_t> row_major_strides(const Shape& shape);

// NumPy broadcasting.
Result<Shape> broadcast_shape(const Shape& a, const Shape& b);
Result<Known> broadcast_to(const Known& x, const Shape& shape);

Known reshaped(const Known& x, Shape shape);
Known cast(const Known& x, int type);

}  // namespace emulsion
