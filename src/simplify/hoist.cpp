// Passes that move elementwise layers in front of layers that only move elements, so that the convs
// before those can take them in: what an exporter leaves of a rewritten conv is put together again.
#include <algorithm>
#include <set>

#include "simplify/edit.h"
#include "simplify/passes.h"

namespace emulsion {
namespace {

// Entries [first, first + count) of a constant with one for each channel.
Constant channel_range(const Constant& constant, int64_t first, int64_t count) {
  if (!constant || element_count(constant->shape) == 1) return constant;
  return derived_constant({count}, {constant},
                          [&](int64_t c) { return constant->data[first + c]; });
}

std::optional<Activation> channel_range(std::optional<Activation> activation, int64_t first,
                                        int64_t count) {
  if (activation) activation->slope = channel_range(activation->slope, first, count);
  return activation;
}

// The elementwise op (an affine or activation) on a run of its channels.
Op on_channels(const Op& op, int64_t first, int64_t count) {
  if (const auto* affine = std::get_if<Affine>(&op)) {
    return Affine{channel_range(affine->scale, first, count),
                  channel_range(affine->shift, first, count),
                  channel_range(affine->activation, first, count)};
  }
  return *channel_range(std::optional(std::get<Activation>(op)), first, count);
}

// Who makes and reads the values of a network.
struct Graph {
  std::vector<int> makers;
  std::vector<std::vector<int>> readers;  // one entry a reading
  std::vector<bool> is_output;

  explicit Graph(const Network& network)
      : makers(producers(network)),
        readers(network.values.size()),
        is_output(network.values.size(), false) {
    for (int i = 0; i < static_cast<int>(network.layers.size()); ++i)
      for (const ValueId id : network.layers[i].inputs) readers[id].push_back(i);
    for (const ValueId id : network.outputs) is_output[id] = true;
  }
  bool read_once(ValueId id) const { return !is_output[id] && readers[id].size() == 1; }
};

// Whether an elementwise op on a value ends up in the convs that make it.
bool convs_take(const Network& network, const Graph& graph, ValueId value, bool affine) {
  if (!graph.read_once(value) || graph.makers[value] < 0) return false;
  const Layer& layer = network.layers[graph.makers[value]];
  if (const auto* conv = std::get_if<Conv>(&layer.op)) {
    return affine ? conv->epilogue.empty() : !conv->epilogue.activation;
  }
  const bool repeats =
      std::holds_alternative<Resize>(layer.op) &&
      element_count(network.shape(layer.inputs[0])) <= element_count(network.shape(value));
  if (!repeats && !std::holds_alternative<Concat>(layer.op)) return false;
  return std::all_of(layer.inputs.begin(), layer.inputs.end(),
                     [&](ValueId input) { return convs_take(network, graph, input, affine); });
}

// Puts a layer at a place of the list, before all that is there.
ValueId insert_layer(Network& network, int place, const std::string& name, Op op,
                     std::vector<ValueId> inputs) {
  const ValueId output = network.add_layer(name, std::move(op), std::move(inputs));
  std::rotate(network.layers.begin() + place, network.layers.end() - 1, network.layers.end());
  return output;
}

bool distribute_one(Network& network) {
  const Graph graph(network);
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    const Layer layer = network.layers[i];
    const bool affine = std::holds_alternative<Affine>(layer.op);
    if (!affine && !std::holds_alternative<Activation>(layer.op)) continue;
    const int below = graph.makers[layer.inputs[0]];
    if (below < 0) continue;
    const auto* concat = std::get_if<Concat>(&network.layers[below].op);
    if (!concat || !convs_take(network, graph, layer.inputs[0], affine)) continue;
    const int axis = concat->axis;
    int64_t channel = 0;
    int place = below;
    std::vector<ValueId> parts = network.layers[below].inputs;
    for (size_t k = 0; k < parts.size(); ++k) {
      const int64_t channels = network.shape(parts[k])[1];
      parts[k] = insert_layer(network, place++, fmt::format("{}_part{}", layer.name, k),
                              on_channels(layer.op, axis == 1 ? channel : 0, channels), {parts[k]});
      channel += channels;
    }
    network.layers[place].inputs = parts;
    network.layers[place].output = layer.output;
    network.layers.erase(network.layers.begin() + i + static_cast<int>(parts.size()));
    return true;
  }
  return false;
}

// The concatenation that one operand of an addition is, if its parts are convs that can take in the
// other operand, which is there before them; and the side it is on.
struct AddedConcat {
  int concat = -1, side = 0;
  int first = 0;  // the first of its convs
};

std::optional<AddedConcat> added_concat(const Network& network, const Graph& graph, int add) {
  const std::vector<ValueId>& inputs = network.layers[add].inputs;
  if (network.shape(inputs[0]) != network.shape(inputs[1])) return std::nullopt;
  for (const int side : {0, 1}) {
    const int index = graph.makers[inputs[side]];
    if (index < 0 || !std::holds_alternative<Concat>(network.layers[index].op)) continue;
    if (!graph.read_once(inputs[side])) continue;
    AddedConcat result{index, side, index};
    bool fits = true;
    for (const ValueId part : network.layers[index].inputs) {
      const int maker = graph.makers[part];
      const auto* conv = maker < 0 ? nullptr : std::get_if<Conv>(&network.layers[maker].op);
      fits = fits && conv && conv->epilogue.empty() && graph.read_once(part);
      if (fits) result.first = std::min(result.first, maker);
    }
    if (fits && graph.makers[inputs[1 - side]] < result.first) return result;
  }
  return std::nullopt;
}

bool distribute_one_addition(Network& network) {
  const Graph graph(network);
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    const auto* binary = std::get_if<Binary>(&network.layers[i].op);
    if (!binary || binary->kind != Binary::Kind::add) continue;
    const auto found = added_concat(network, graph, i);
    if (!found) continue;
    const Layer layer = network.layers[i];
    const std::optional<Activation> activation = binary->activation;
    const ValueId other = layer.inputs[1 - found->side];
    const int axis = std::get<Concat>(network.layers[found->concat].op).axis;
    std::vector<ValueId> parts = network.layers[found->concat].inputs, slices;
    // Slices before the convs, which so need not move; the additions after them.
    int64_t start = 0;
    for (size_t k = 0; k < parts.size(); ++k) {
      const size_t rank = network.shape(other).size();
      Slice slice{std::vector<int64_t>(rank, 0), std::vector<int64_t>(rank, 1),
                  network.shape(parts[k])};
      slice.starts[axis] = start;
      start += slice.shape[axis];
      slices.push_back(insert_layer(network, found->first + static_cast<int>(k),
                                    fmt::format("{}_residual{}", layer.name, k), slice, {other}));
    }
    int place = found->concat + static_cast<int>(parts.size());
    int64_t channel = 0;
    for (size_t k = 0; k < parts.size(); ++k) {
      const int64_t channels = network.shape(parts[k])[1];
      const Binary add{Binary::Kind::add,
                       channel_range(activation, axis == 1 ? channel : 0, channels)};
      parts[k] = insert_layer(network, place++, fmt::format("{}_part{}", layer.name, k), add,
                              {parts[k], slices[k]});
      channel += channels;
    }
    network.layers[place].inputs = parts;
    network.layers[place].output = layer.output;
    network.layers.erase(network.layers.begin() + i + 2 * static_cast<int>(parts.size()));
    return true;
  }
  return false;
}

}  // namespace

// affine(resize(x))  =>  resize(affine(x))   where x is the smaller; activations likewise
Network hoist_over_resizes(const Network& network) {
  Network result = network;
  const Graph graph(result);  // ops change places, values do not
  for (int i = 0; i < static_cast<int>(result.layers.size()); ++i) {
    Layer& layer = result.layers[i];
    const bool affine = std::holds_alternative<Affine>(layer.op);
    if (!affine && !std::holds_alternative<Activation>(layer.op)) continue;
    const ValueId between = layer.inputs[0];
    if (graph.makers[between] < 0 || !convs_take(result, graph, between, affine)) continue;
    Layer& below = result.layers[graph.makers[between]];
    if (!std::holds_alternative<Resize>(below.op)) continue;
    std::swap(layer.op, below.op);
    std::swap(layer.name, below.name);
    result.values[between].shape = result.shape(below.inputs[0]);
  }
  return without_dead_layers(result);
}

// affine(concat(conv, ...))  =>  concat(affine(conv), ...)   and so with activations
Network distribute_over_concats(const Network& network) {
  Network result = network;
  while (distribute_one(result)) {
  }
  return without_dead_layers(result);
}

// concat(conv, ...) + r  =>  concat(conv + slice(r), ...)
Network distribute_additions(const Network& network) {
  Network result = network;
  while (distribute_one_addition(result)) {
  }
  return without_dead_layers(result);
}

}  // namespace emulsion
