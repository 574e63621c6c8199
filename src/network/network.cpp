#include "network/network.h"

#include <algorithm>
#include <unordered_set>

namespace emulsion {
namespace {

std::vector<Shape> input_shapes(const Network& network, const Layer& layer) {
  std::vector<Shape> shapes;
  shapes.reserve(layer.inputs.size());
  for (const ValueId id : layer.inputs) shapes.push_back(network.shape(id));
  return shapes;
}

}  // namespace

ValueId Network::add_value(std::string value_name, Shape value_shape) {
  const auto taken = [&](const std::string& candidate) {
    return std::any_of(values.begin(), values.end(),
                       [&](const Value& value) { return value.name == candidate; });
  };
  std::string unique = value_name;
  for (int suffix = 1; taken(unique); ++suffix) unique = fmt::format("{}_{}", value_name, suffix);
  values.push_back({std::move(unique), std::move(value_shape)});
  return static_cast<ValueId>(values.size()) - 1;
}

ValueId Network::add_layer(std::string layer_name, Op op, std::vector<ValueId> layer_inputs) {
  Layer layer{std::move(layer_name), std::move(op), std::move(layer_inputs), -1};
  Result<Shape> shape = infer_shape(layer.op, input_shapes(*this, layer));
  if (!shape.ok())
    fmt::print(stderr, "emulsion: layer {}: {}\n", layer.name, shape.error().message);
  EMULSION_CHECK(shape.ok());
  layer.output = add_value(layer.name, std::move(shape).value());
  layers.push_back(std::move(layer));
  return layers.back().output;
}

std::vector<int> producers(const Network& network) {
  std::vector<int> by_value(network.values.size(), -1);
  for (size_t i = 0; i < network.layers.size(); ++i) {
    by_value[network.layers[i].output] = static_cast<int>(i);
  }
  return by_value;
}

std::vector<std::vector<int>> consumers(const Network& network) {
  std::vector<std::vector<int>> by_value(network.values.size());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    for (const ValueId id : network.layers[i].inputs) {
      std::vector<int>& readers = by_value[id];
      if (readers.empty() || readers.back() != static_cast<int>(i))
        readers.push_back(static_cast<int>(i));
    }
  }
  return by_value;
}

std::vector<int> conv_layers(const Network& network) {
  std::vector<int> convs;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (std::holds_alternative<Conv>(network.layers[i].op)) convs.push_back(static_cast<int>(i));
  }
  return convs;
}

Network without_dead_layers(const Network& network) {
  std::vector<bool> needed(network.values.size(), false);
  for (const ValueId id : network.outputs) needed[id] = true;
  for (size_t i = network.layers.size(); i-- > 0;) {
    const Layer& layer = network.layers[i];
    if (!needed[layer.output]) continue;
    for (const ValueId id : layer.inputs) needed[id] = true;
  }
  for (const ValueId id : network.inputs) needed[id] = true;

  Network live;
  live.name = network.name;
  std::vector<ValueId> renumbered(network.values.size(), -1);
  for (size_t id = 0; id < network.values.size(); ++id) {
    if (!needed[id]) continue;
    renumbered[id] = static_cast<ValueId>(live.values.size());
    live.values.push_back(network.values[id]);
  }
  const auto renumber = [&](std::vector<ValueId> ids) {
    for (ValueId& id : ids) id = renumbered[id];
    return ids;
  };
  for (const Layer& layer : network.layers) {
    if (!needed[layer.output]) continue;
    live.layers.push_back({layer.name, layer.op, renumber(layer.inputs), renumbered[layer.output]});
  }
  live.inputs = renumber(network.inputs);
  live.outputs = renumber(network.outputs);
  return live;
}

Result<Network> infer_shapes(Network network) {
  for (const Layer& layer : network.layers) {
    Result<Shape> shape = infer_shape(layer.op, input_shapes(network, layer));
    if (!shape.ok()) return shape.error().in("layer " + layer.name);
    network.values[layer.output].shape = std::move(shape).value();
  }
  return network;
}

int64_t multiplies(const Network& network) {
  int64_t sum = 0;
  for (const Layer& layer : network.layers)
    sum += multiplies(layer.op, network.shape(layer.output));
  return sum;
}

int64_t parameters(const Network& network) {
  std::unordered_set<const Tensor*> seen;  // a constant that several layers share counts once
  int64_t sum = 0;
  for (const Layer& layer : network.layers) {
    for (const Constant& c : constants(layer.op)) {
      if (c && seen.insert(c.get()).second) sum += element_count(c->shape);
    }
  }
  return sum;
}

}  // namespace emulsion
