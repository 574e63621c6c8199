#include "legality/kernel_convs.h"

namespace emulsion {

Status KernelConvs::prepare(const Network& network) {
  std::vector<ConvUse> uses;
  for (const Layer& layer : network.layers) {
    if (const auto* conv = std::get_if<Conv>(&layer.op)) {
      uses.push_back({*conv, network.shape(layer.inputs[0]), false});
    }
  }
  return engine_.prepare(uses, compiling_);
}

Result<Tensor> KernelConvs::run(const Conv& conv, const Tensor& x) {
  TRY(const Array<float> sum, engine_.forward(conv, to_array<float>(x), weights_of(conv.weight)));
  Tensor y = to_tensor(sum);
  if (!conv.bias) return y;
  const int64_t channels = y.shape[1], plane = y.shape[2] * y.shape[3];
  for (int64_t i = 0; i < y.shape[0] * channels; ++i) {
    const float bias = conv.bias->data[i % channels];
    for (int64_t j = 0; j < plane; ++j) y.data[i * plane + j] += bias;
  }
  return y;
}

LayerWeights<float> KernelConvs::weights_of(const Constant& weight) {
  const std::lock_guard lock(mutex_);
  LayerWeights<float>& weights = weights_[weight];
  if (!weights.values) {
    weights = {std::make_shared<const Weights<float>>(weight->data),
               std::make_shared<PackedWeights>()};
  }
  return weights;
}

}  // namespace emulsion
