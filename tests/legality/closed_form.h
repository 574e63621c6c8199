// The closed form that the test vectors' weights and images follow.
#pragma once

#include <cmath>
#include <vector>

#include "legality/fisher.h"
#include "tiny_resnet.h"

namespace emulsion::testing {

inline std::vector<double> closed_form(int64_t count, int k) {
  std::vector<double> values(count);
  for (int64_t i = 0; i < count; ++i) {
    const double t = static_cast<double>(i);
    values[i] = std::sin(0.7 * t + 0.3 * k + 0.01 * t * t);
  }
  return values;
}

// scale multiplies the convs' weights.
template <class T>
WeightSource<T> closed_form_weights(const TinyResnet& net, double scale = 1) {
  return [&net, scale](int layer) {
    const Op& op = net.training.network.layers[layer].op;
    const auto* conv = std::get_if<Conv>(&op);
    const Shape& shape = conv ? conv->weight->shape : std::get<Dense>(op).weight->shape;
    std::vector<double> values = closed_form(element_count(shape), net.weight_order[layer]);
    const double fan_in = static_cast<double>(element_count(shape) / shape[0]);
    for (double& v : values) v *= conv ? scale * std::sqrt(2.0 / fan_in) : 0.5;
    return Weights<T>(values.begin(), values.end());
  };
}

// [batch 3 size size]
template <class T>
Array<T> closed_form_images(int64_t batch = 4, int64_t size = 8) {
  Array<T> images({batch, 3, size, size});
  const std::vector<double> values = closed_form(element_count(images.shape), 50);
  const std::vector<T> row_major(values.begin(), values.end());
  copy_strided(images.shape, images.data.data(), array_strides(images.shape), row_major.data(),
               onnx_order_strides(images.shape));
  return images;
}

inline std::vector<int> vector_labels() {
  return {0, 1, 2, 1};
}

}  // namespace emulsion::testing
