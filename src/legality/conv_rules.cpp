// Convs and dense layers in a training pass.
#include "legality/training_ops.h"

namespace emulsion {

template <class T>
Status conv_forward(LayerPass<T>& pass) {
  const Conv& conv = std::get<Conv>(pass.op);
  TRY(*pass.output, pass.engine.forward(conv, *pass.inputs[0], pass.weights));
  if (!conv.bias) return ok();
  const std::vector<float>& bias = conv.bias->data;
  std::vector<T, AlignedAllocator<T>>& y = pass.output->data;
  for (size_t i = 0; i < y.size(); i += bias.size())
    for (size_t c = 0; c < bias.size(); ++c) y[i + c] += static_cast<T>(bias[c]);
  return ok();
}

template <class T>
Status conv_backward(LayerPass<T>& pass) {
  TRY(pass.gradients[0], pass.engine.backward(std::get<Conv>(pass.op), pass.inputs[0]->shape,
                                              *pass.gradient, pass.weights));
  return ok();
}

template <class T>
Status dense_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Constant& bias = std::get<Dense>(pass.op).bias;
  const Weights<T>& weights = *pass.weights.values;
  const int64_t k = pass.inputs[0]->shape.back(), m = pass.output->shape.back();
  const int64_t rows = element_count(pass.output->shape) / m;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < m; ++j) {
      double sum = bias ? bias->data[j] : 0.0;
      for (int64_t i = 0; i < k; ++i) {
        sum += static_cast<double>(pass.inputs[0]->data[r * k + i]) * weights[j * k + i];
      }
      pass.output->data[r * m + j] = static_cast<T>(sum);
    }
  return ok();
}

template <class T>
Status dense_backward(LayerPass<T>& pass) {
  const Weights<T>& weights = *pass.weights.values;
  const int64_t k = pass.inputs[0]->shape.back(), m = pass.gradient->shape.back();
  const int64_t rows = element_count(pass.gradient->shape) / m;
  pass.gradients[0] = Array<T>(pass.inputs[0]->shape, T(0));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < m; ++j) {
      const T g = pass.gradient->data[r * m + j];
      for (int64_t i = 0; i < k; ++i) pass.gradients[0].data[r * k + i] += g * weights[j * k + i];
    }
  return ok();
}

EMULSION_TRAINING_OP(conv)
EMULSION_TRAINING_OP(dense)

}  // namespace emulsion
