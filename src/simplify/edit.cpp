#include "simplify/edit.h"

#include <algorithm>
#include <cmath>

namespace emulsion {

NetworkEdit::NetworkEdit(Network network)
    : network_(std::move(network)), dead_(network_.layers.size(), false) {
  refresh();
}

void NetworkEdit::refresh() {
  producer_.assign(network_.values.size(), -1);
  readers_.assign(network_.values.size(), {});
  is_output_.assign(network_.values.size(), false);
  for (int i = 0; i < layer_count(); ++i) {
    if (dead_[i]) continue;
    producer_[network_.layers[i].output] = i;
    for (const ValueId id : network_.layers[i].inputs) readers_[id].push_back(i);
  }
  for (const ValueId id : network_.outputs) is_output_[id] = true;
}

bool NetworkEdit::only_reader(ValueId id, int index) const {
  return !is_output_[id] && readers_[id].size() == 1 && readers_[id][0] == index;
}

void NetworkEdit::absorb(int into, int index) {
  EMULSION_CHECK(into < index && !dead_[into] && !dead_[index]);
  network_.layers[into].output = network_.layers[index].output;
  dead_[index] = true;
  refresh();
}

bool NetworkEdit::replace_value(ValueId from, ValueId to) {
  if (is_output_[from]) {
    // The name that outlives is from's, so to's maker makes from.
    if (is_output_[to] || producer_[to] < 0) return false;
    dead_[producer_[from]] = true;
    network_.layers[producer_[to]].output = from;
    std::swap(from, to);
  }
  for (Layer& layer : network_.layers)
    std::replace(layer.inputs.begin(), layer.inputs.end(), from, to);
  refresh();
  return true;
}

void NetworkEdit::move_layer(int from, int to) {
  EMULSION_CHECK(from < to);
  const auto layers = network_.layers.begin();
  std::rotate(layers + from, layers + from + 1, layers + to + 1);
  const auto dead = dead_.begin();
  std::rotate(dead + from, dead + from + 1, dead + to + 1);
  refresh();
}

ValueId NetworkEdit::insert(int index, const std::string& name, Op op,
                            const std::vector<ValueId>& inputs) {
  std::string value_name = name;
  const auto taken = [&] {
    return std::any_of(network_.values.begin(), network_.values.end(),
                       [&](const Value& value) { return value.name == value_name; });
  };
  for (int i = 1; taken(); ++i) value_name = fmt::format("{}_{}", name, i);
  const ValueId value = network_.add_layer(name, std::move(op), inputs);
  network_.values[value].name = value_name;
  std::rotate(network_.layers.begin() + index, network_.layers.end() - 1, network_.layers.end());
  dead_.insert(dead_.begin() + index, false);
  refresh();
  return value;
}

Network NetworkEdit::finish() {
  std::vector<Layer> alive;
  for (int i = 0; i < layer_count(); ++i) {
    if (!dead_[i]) alive.push_back(std::move(network_.layers[i]));
  }
  network_.layers = std::move(alive);
  return without_dead_layers(network_);
}

Network in_order(const Network& network) {
  std::vector<ValueId> order = network.inputs, renamed(network.values.size(), -1);
  for (const Layer& layer : network.layers) order.push_back(layer.output);
  Network result = network;
  for (size_t i = 0; i < order.size(); ++i) {
    renamed[order[i]] = static_cast<ValueId>(i);
    result.values[i] = network.values[order[i]];
  }
  result.values.resize(order.size());
  const auto rename = [&](ValueId& id) { id = renamed[id]; };
  for (Layer& layer : result.layers) {
    std::for_each(layer.inputs.begin(), layer.inputs.end(), rename);
    rename(layer.output);
  }
  std::for_each(result.inputs.begin(), result.inputs.end(), rename);
  std::for_each(result.outputs.begin(), result.outputs.end(), rename);
  return result;
}

Constant derived_constant(const Shape& shape, const std::vector<Constant>& sources,
                          const std::function<double(int64_t)>& f) {
  for (const Constant& source : sources) {
    if (source && source->abstract()) return abstract_constant(shape);
  }
  std::vector<float> data(element_count(shape));
  for (size_t i = 0; i < data.size(); ++i) {
    data[i] = static_cast<float>(f(static_cast<int64_t>(i)));
    if (!std::isfinite(data[i])) return nullptr;
  }
  return constant(shape, std::move(data));
}

}  // namespace emulsion
