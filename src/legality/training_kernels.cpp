#include "legality/training_kernels.h"

#include <set>

#include "legality/conv_engine.h"

namespace emulsion {

Result<std::vector<KernelSpec>> training_kernels(const TrainingNetwork& original,
                                                 const std::map<int, std::vector<Steps>>& rewrites,
                                                 const std::string& target) {
  std::vector<KernelSpec> specs;
  std::set<std::string> seen;
  const auto add = [&](const KernelSpec& spec) -> Status {
    TRY(KernelSpec complete, completed(spec));
    if (seen.insert(kernel_name(complete)).second) specs.push_back(std::move(complete));
    return ok();
  };
  const auto add_network = [&](const TrainingNetwork& network) -> Status {
    for (const Layer& layer : network.network.layers) {
      const auto* conv = std::get_if<Conv>(&layer.op);
      if (!conv) continue;
      const Shape& x = network.network.shape(layer.inputs[0]);
      TRY_OK(add(forward_call(*conv, x, target).spec));
      // A conv that reads the network's input (a stem) is never differentiated.
      if (layer.inputs[0] == network.network.inputs[0]) continue;
      TRY_OK(add(backward_call(*conv, x, target).spec));
    }
    return ok();
  };
  TRY_OK(add_network(original));
  // Every slot takes its k-th rewrite at once: the kernels of a network are those of its layers.
  size_t most = 0;
  for (const auto& [slot, choices] : rewrites) most = std::max(most, choices.size());
  for (size_t k = 0; k < most; ++k) {
    std::map<int, Steps> chosen;
    for (const auto& [slot, choices] : rewrites) {
      if (k < choices.size()) chosen[slot] = choices[k];
    }
    TRY(const TrainingNetwork candidate, rewritten(original, chosen));
    TRY_OK(add_network(candidate));
  }
  return specs;
}

}  // namespace emulsion
