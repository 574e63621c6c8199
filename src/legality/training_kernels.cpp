#include "legality/training_kernels.h"

#include "legality/conv_engine.h"

namespace emulsion {

void add_conv_uses(const Network& network, bool backward, std::vector<ConvUse>& uses) {
  for (const Layer& layer : network.layers) {
    const auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv) continue;
    const Shape& input = network.shape(layer.inputs[0]);
    uses.push_back({*conv, input, false});
    if (backward && layer.inputs[0] != network.inputs[0]) uses.push_back({*conv, input, true});
  }
}

std::vector<ConvUse> training_convs(const std::vector<TrainingNetwork>& networks) {
  std::vector<ConvUse> uses;
  for (const TrainingNetwork& training : networks) add_conv_uses(training.network, true, uses);
  return uses;
}

Result<std::vector<KernelSpec>> training_kernels(const TrainingNetwork& original,
                                                 const std::map<int, std::vector<Steps>>& rewrites,
                                                 const std::string& target) {
  std::vector<TrainingNetwork> networks = {original};
  // Every slot takes its k-th rewrite at once: the kernels of a network are those of its layers.
  size_t most = 0;
  for (const auto& [slot, choices] : rewrites) most = std::max(most, choices.size());
  for (size_t k = 0; k < most; ++k) {
    std::map<int, Steps> chosen;
    for (const auto& [slot, choices] : rewrites) {
      if (k < choices.size()) chosen[slot] = choices[k];
    }
    TRY(TrainingNetwork candidate, rewritten(original, chosen));
    networks.push_back(std::move(candidate));
  }
  return conv_kernels(training_convs(networks), target);
}

}  // namespace emulsion
