#include "legality/kernel_convs.h"

#include "legality/trained_network.h"
#include "legality/training_kernels.h"
#include "legality/training_rules.h"

namespace emulsion {

Status KernelConvs::prepare(const Network& network) {
  network_ = &network;
  weights_ = own_weights(network);
  std::vector<ConvUse> uses;
  add_conv_uses(network, false, uses);
  return engine_.prepare(uses, compiling_);
}

Result<Tensor> KernelConvs::run(int layer, const Tensor& x) {
  const Op& op = network_->layers[layer].op;
  const LayerWeights<float> weights = weights_(layer);
  const Array<float> input = to_array<float>(x);
  Array<float> output;
  std::vector<double> saved;
  LayerPass<float> pass{op, engine_, weights};
  pass.inputs = {&input};
  pass.spare = {nullptr};
  pass.output = &output;
  pass.saved = &saved;
  TRY_OK(training_rule<float>(op)->forward(pass));
  return to_tensor(output);
}

}  // namespace emulsion
