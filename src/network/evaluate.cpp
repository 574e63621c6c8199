#include "network/evaluate.h"

namespace emulsion {

namespace {

Result<std::vector<Tensor>> evaluate_values(const Network& network,
                                            const std::vector<Tensor>& inputs, bool keep_all) {
  TRY_OK(verify(network));
  if (inputs.size() != network.inputs.size()) {
    return error("the network has {} inputs, {} are given", network.inputs.size(), inputs.size());
  }
  std::vector<Tensor> values(network.values.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Value& value = network.values[network.inputs[i]];
    if (inputs[i].shape != value.shape || inputs[i].abstract()) {
      return error("input {} has shape {}, the network takes {}", value.name,
                   to_text(inputs[i].shape), to_text(value.shape));
    }
    values[network.inputs[i]] = inputs[i];
  }
  std::vector<int> readers(network.values.size(), 0);
  for (const ValueId id : network.outputs) ++readers[id];
  for (const Layer& layer : network.layers) {
    for (const ValueId id : layer.inputs) ++readers[id];
  }
  for (const Layer& layer : network.layers) {
    for (const Constant& c : constants(layer.op)) {
      if (c && c->abstract()) return error("layer {}: its constants have no values", layer.name);
    }
    std::vector<Tensor> arguments;
    for (const ValueId id : layer.inputs) {
      const bool last = --readers[id] == 0 && !keep_all;
      arguments.push_back(last ? std::move(values[id]) : values[id]);
    }
    values[layer.output] = evaluate(layer.op, arguments);
  }
  return values;
}

}  // namespace

Result<std::vector<Tensor>> evaluate_all(const Network& network,
                                         const std::vector<Tensor>& inputs) {
  return evaluate_values(network, inputs, true);
}

Result<std::vector<Tensor>> evaluate(const Network& network, const std::vector<Tensor>& inputs) {
  TRY(const std::vector<Tensor> values, evaluate_values(network, inputs, false));
  std::vector<Tensor> outputs;
  for (const ValueId id : network.outputs) outputs.push_back(values[id]);
  return outputs;
}

}  // namespace emulsion
