#include "nest/slots.h"

#include <algorithm>
#include <set>

#include "nest/rewrite.h"

namespace emulsion {
namespace {

bool is_conv(const Layer& layer) {
  return std::holds_alternative<Conv>(layer.op);
}

// Convs and dense layers mix channels by weights; everything else hands values on.
bool has_weights(const Layer& layer) {
  return is_conv(layer) || std::holds_alternative<Dense>(layer.op);
}

bool is_add(const Layer& layer) {
  const auto* binary = std::get_if<Binary>(&layer.op);
  return binary && binary->kind == Binary::Kind::add;
}

// The graph of a network with what the exclusions ask of it.
class Graph {
 public:
  explicit Graph(const Network& network)
      : network_(network),
        producers_(producers(network)),
        consumers_(consumers(network)),
        from_input_(network.values.size(), false) {
    for (const ValueId input : network.inputs) from_input_[input] = true;
    for (const Layer& layer : network.layers) {
      bool all = !has_weights(layer), any = false;
      for (const ValueId input : layer.inputs) {
        if (is_literal(input)) continue;
        all = all && from_input_[input];
        any = true;
      }
      from_input_[layer.output] = all && any;
    }
  }

  // Whether a value is the network's input, or made of nothing else without weights.
  bool from_input(ValueId value) const { return from_input_[value]; }

  // A conv is a shortcut when a value is its source without weights between, its output reaches an
  // Add without weights between, and the Add's other operand comes from the same value through
  // another conv.
  bool is_shortcut(int index) const {
    const Layer& layer = network_.layers[index];
    const std::vector<Reach> reach = reach_from_sources(index);
    // With the Add in its epilogue a conv's output is past it.
    if (std::get<Conv>(layer.op).epilogue.residual) {
      return reach[layer.inputs[1]] == Reach::through_conv;
    }
    std::set<ValueId> seen;
    std::vector<ValueId> todo{layer.output};
    while (!todo.empty()) {
      const ValueId at = todo.back();
      todo.pop_back();
      if (!seen.insert(at).second) continue;
      for (const int consumer : consumers_[at]) {
        const Layer& reader = network_.layers[consumer];
        if (is_conv(reader) && reader.inputs.size() == 2 && reader.inputs[1] == at &&
            reach[reader.inputs[0]] != Reach::no) {
          return true;  // the other operand is the reader's own sum
        }
        if (has_weights(reader)) continue;
        if (is_add(reader)) {
          const ValueId other = reader.inputs[reader.inputs[0] == at ? 1 : 0];
          if (reach[other] == Reach::through_conv) return true;
          if (!is_literal(other)) continue;
        }
        todo.push_back(reader.output);
      }
    }
    return false;
  }

 private:
  bool is_literal(ValueId value) const {
    const int producer = producers_[value];
    return producer >= 0 && std::holds_alternative<Literal>(network_.layers[producer].op);
  }

  // A value and those above it, up through layers of one operand and no weights.
  std::set<ValueId> sources_of(ValueId value) const {
    std::set<ValueId> result{value};
    for (int producer = producers_[value]; producer >= 0; producer = producers_[value]) {
      const Layer& layer = network_.layers[producer];
      if (has_weights(layer) || layer.inputs.size() != 1) break;
      value = layer.inputs[0];
      result.insert(value);
    }
    return result;
  }

  // Whether paths lead from a conv's sources to each value that avoid the conv, and whether some
  // path has another conv on it.
  enum class Reach { no, without_conv, through_conv };
  std::vector<Reach> reach_from_sources(int index) const {
    const std::set<ValueId> sources = sources_of(network_.layers[index].inputs[0]);
    std::vector<Reach> reach(network_.values.size(), Reach::no);
    for (const ValueId source : sources) reach[source] = Reach::without_conv;
    for (int i = 0; i < static_cast<int>(network_.layers.size()); ++i) {
      const Layer& layer = network_.layers[i];
      if (i == index || sources.contains(layer.output)) continue;
      Reach best = Reach::no;
      for (const ValueId input : layer.inputs) best = std::max(best, reach[input]);
      if (best != Reach::no && is_conv(layer)) best = Reach::through_conv;
      reach[layer.output] = best;
    }
    return reach;
  }

  const Network& network_;
  std::vector<int> producers_;
  std::vector<std::vector<int>> consumers_;
  std::vector<bool> from_input_;  // by value
};

std::string exclusion(const Network& network, const Graph& graph, int index) {
  const Layer& layer = network.layers[index];
  const Conv& conv = std::get<Conv>(layer.op);
  const Shape& weight = conv.weight->shape;
  const Shape& output = network.shape(layer.output);
  if (graph.from_input(layer.inputs[0])) return "it reads the network's input";
  if (output[2] == 1 && output[3] == 1) return "its output has one pixel";
  if (weight[2] == 1 && weight[3] == 1 && graph.is_shortcut(index)) {
    return "it is a shortcut beside another conv";
  }
  if (rewrites_of(conv, network.shape(layer.inputs[0])).empty())
    return "no rewrite makes it cheaper";
  return "";
}

}  // namespace

std::string slot_exclusion(const Network& network, int layer) {
  return exclusion(network, Graph(network), layer);
}

std::vector<int> slots(const Network& network) {
  const Graph graph(network);
  const std::vector<int> convs = conv_layers(network);
  std::vector<int> result;
  for (int i = 0; i < static_cast<int>(convs.size()); ++i) {
    if (exclusion(network, graph, convs[i]).empty()) result.push_back(i);
  }
  return result;
}

}  // namespace emulsion
