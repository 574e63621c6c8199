#include "onnx/known.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace emulsion {

namespace {

// C's conversion where it is defined; the nearest representable value where it is not.
int64_t to_int64(float x) {
  if (std::isnan(x)) return 0;
  if (x >= 0x1p63f) return std::numeric_limits<int64_t>::max();
  if (x < -0x1p63f) return std::numeric_limits<int64_t>::min();
  return static_cast<int64_t>(x);
}

int64_t wrap_integer(int64_t x, int type) {
  switch (type) {
    case onnx::TensorProto::BOOL:
      return x != 0;
    case onnx::TensorProto::INT8:
      return static_cast<int8_t>(x);
    case onnx::TensorProto::UINT8:
      return static_cast<uint8_t>(x);
    case onnx::TensorProto::INT16:
      return static_cast<int16_t>(x);
    case onnx::TensorProto::UINT16:
      return static_cast<uint16_t>(x);
    case onnx::TensorProto::INT32:
      return static_cast<int32_t>(x);
    case onnx::TensorProto::UINT32:
      return static_cast<uint32_t>(x);
    default:
      return x;
  }
}

template <class T>
std::vector<T> taken(const std::vector<T>& values, const std::vector<int64_t>& index) {
  std::vector<T> result(index.size());
  for (size_t i = 0; i < index.size(); ++i) result[i] = values[index[i]];
  return result;
}

// f(offset + sum(i[d] strides[d])) for every i of shape, row-major.
template <class F>
void for_each_index(const Shape& shape, const std::vector<int64_t>& strides, int64_t offset, F f) {
  Shape at(shape.size(), 0);
  int64_t index = offset;
  const int64_t count = element_count(shape);
  for (int64_t i = 0; i < count; ++i) {
    f(index);
    for (size_t d = shape.size(); d-- > 0;) {
      index += strides[d];
      if (++at[d] < shape[d]) break;
      index -= strides[d] * shape[d];
      at[d] = 0;
    }
  }
}

}  // namespace

Known known_floats(Shape shape, std::vector<float> values, int type) {
  Known k;
  k.type = type;
  k.shape = shape;
  k.floats = constant(std::move(shape), std::move(values));
  return k;
}

Known known_ints(Shape shape, std::vector<int64_t> values, int type) {
  Known k;
  k.type = type;
  k.shape = std::move(shape);
  k.ints = std::make_shared<const std::vector<int64_t>>(std::move(values));
  return k;
}

bool is_float_type(int type) {
  return type == onnx::TensorProto::FLOAT || type == onnx::TensorProto::FLOAT16 ||
         type == onnx::TensorProto::BFLOAT16 || type == onnx::TensorProto::DOUBLE;
}

bool is_integer_type(int type) {
  switch (type) {
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::INT64:
    case onnx::TensorProto::UINT64:
      return true;
    default:
      return false;
  }
}

std::string type_name(int type) {
  if (!onnx::TensorProto::DataType_IsValid(type)) return fmt::format("{}", type);
  return onnx::TensorProto::DataType_Name(static_cast<onnx::TensorProto::DataType>(type));
}

Result<int64_t> checked_count(const Shape& shape, int64_t most) {
  // Extents before a zero extent are still bounded, so that no later product overflows.
  int64_t count = 1;
  bool empty = false;
  for (const int64_t extent : shape) {
    if (extent < 0) return error("shape has the negative extent {}", extent);
    if (extent == 0) {
      empty = true;
    } else if (extent > most / count) {
      return error("shape has more than {} elements", most);
    } else {
      count *= extent;
    }
  }
  return empty ? 0 : count;
}

Known take(const Known& x, Shape shape, const std::vector<int64_t>& index) {
  if (x.is_float()) return known_floats(std::move(shape), taken(x.floats->data, index), x.type);
  return known_ints(std::move(shape), taken(*x.ints, index), x.type);
}

Known take_strided(const Known& x, Shape shape, const std::vector<int64_t>& strides,
                   int64_t offset) {
  if (x.is_float()) {
    std::vector<float> values(element_count(shape));
    float* out = values.data();
    for_each_index(shape, strides, offset, [&](int64_t i) { *out++ = x.floats->data[i]; });
    return known_floats(std::move(shape), std::move(values), x.type);
  }
  std::vector<int64_t> values(element_count(shape));
  int64_t* out = values.data();
  for_each_index(shape, strides, offset, [&](int64_t i) { *out++ = (*x.ints)[i]; });
  return known_ints(std::move(shape), std::move(values), x.type);
}

std::vector<int64_t> strided_indices(const Shape& shape, const std::vector<int64_t>& strides) {
  std::vector<int64_t> result(element_count(shape));
  int64_t* out = result.data();
  for_each_index(shape, strides, 0, [&](int64_t i) { *out++ = i; });
  return result;
}

std::vector<int64_t> row_major_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t d = shape.size(); d-- > 1;) strides[d - 1] = strides[d] * shape[d];
  return strides;
}

Result<Shape> broadcast_shape(const Shape& a, const Shape& b) {
  Shape result(std::max(a.size(), b.size()));
  for (size_t i = 0; i < result.size(); ++i) {
    const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t y = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (x != y && x != 1 && y != 1) {
      return error("shapes {} and {} do not broadcast", to_text(a), to_text(b));
    }
    result[result.size() - 1 - i] = x == 1 ? y : x;
  }
  return result;
}

Result<Known> broadcast_to(const Known& x, const Shape& shape) {
  TRY_OK(checked_count(shape, k_most_made_elements));
  TRY(const Shape common, broadcast_shape(x.shape, shape));
  if (common != shape) {
    return error("shape {} does not broadcast to {}", to_text(x.shape), to_text(shape));
  }
  const std::vector<int64_t> own = row_major_strides(x.shape);
  std::vector<int64_t> strides(shape.size(), 0);
  const size_t lead = shape.size() - x.shape.size();
  for (size_t d = 0; d < x.shape.size(); ++d) strides[lead + d] = x.shape[d] == 1 ? 0 : own[d];
  return take_strided(x, shape, strides);
}

Known reshaped(const Known& x, Shape shape) {
  if (x.is_float()) return known_floats(std::move(shape), x.floats->data, x.type);
  Known result = x;
  result.shape = std::move(shape);
  return result;
}

Known cast(const Known& x, int type) {
  if (is_float_type(type)) {
    if (x.is_float()) return known_floats(x.shape, x.floats->data, type);
    return known_floats(x.shape, std::vector<float>(x.ints->begin(), x.ints->end()), type);
  }
  std::vector<int64_t> values;
  if (x.is_float()) {
    for (const float v : x.floats->data) {
      const bool truth = type == onnx::TensorProto::BOOL;
      values.push_back(truth ? v != 0 : wrap_integer(to_int64(v), type));
    }
  } else {
    for (const int64_t v : *x.ints) values.push_back(wrap_integer(v, type));
  }
  return known_ints(x.shape, std::move(values), type);
}

}  // namespace emulsion
