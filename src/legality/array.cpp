#include "legality/array.h"

namespace emulsion {

std::vector<int64_t> onnx_order_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * shape[d + 1];
  }
  return strides;
}

std::vector<int64_t> array_strides(const Shape& shape) {
  if (shape.size() != 4) return onnx_order_strides(shape);
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

template <class T>
Array<T> to_array(const Tensor& tensor) {
  Array<T> result(tensor.shape);
  const std::vector<T> values(tensor.data.begin(), tensor.data.end());
  copy_strided(tensor.shape, result.data.data(), array_strides(tensor.shape), values.data(),
               onnx_order_strides(tensor.shape));
  return result;
}

template Array<float> to_array(const Tensor&);
template Array<double> to_array(const Tensor&);

}  // namespace emulsion
