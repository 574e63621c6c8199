#include "legality/training_network.h"

#include <algorithm>

#include "nest/rewrite.h"

namespace emulsion {
namespace {

bool is_image_of_one_pixel(const Shape& shape) {
  return shape.size() == 4 && shape[2] == 1 && shape[3] == 1;
}

// Whether a conv's output reaches a nonlinearity, an Add or the network's output before any norm.
// The search goes on through dense layers, and through convs when the conv has a bias, as a folded
// norm leaves one; the narrow conv of a bottleneck has none, and the conv after it is normalised.
bool lacks_norm(const Network& network, const std::vector<std::vector<int>>& readers,
                const Layer& conv_layer) {
  const bool biased = std::get<Conv>(conv_layer.op).bias != nullptr;
  const ValueId value = conv_layer.output;
  std::vector<bool> seen(network.values.size(), false);
  std::vector<ValueId> todo = {value};
  while (!todo.empty()) {
    const ValueId id = todo.back();
    todo.pop_back();
    if (seen[id]) continue;
    seen[id] = true;
    if (std::find(network.outputs.begin(), network.outputs.end(), id) != network.outputs.end()) {
      return true;
    }
    for (const int reader : readers[id]) {
      const Layer& layer = network.layers[reader];
      const Op& op = layer.op;
      if (std::holds_alternative<BatchNorm>(op) || std::holds_alternative<Normalize>(op)) continue;
      if (std::holds_alternative<Conv>(op) && !biased) continue;
      if (std::holds_alternative<Activation>(op) || std::holds_alternative<Binary>(op) ||
          std::holds_alternative<Affine>(op) || std::holds_alternative<Softmax>(op)) {
        return true;
      }
      todo.push_back(layer.output);
    }
  }
  return false;
}

// Copies a network layer by layer under new value numbers.
class Builder {
 public:
  Builder(const Network& source, int64_t batch)
      : source_(source), values_(source.values.size(), -1) {
    result_.network.name = source.name;
    old_batch_ = source.shape(source.inputs[0]).empty() ? 0 : source.shape(source.inputs[0])[0];
    batch_ = batch > 0 ? batch : old_batch_;
    for (const ValueId input : source.inputs) {
      Shape shape = source.shape(input);
      if (!shape.empty()) shape[0] = batch_;
      values_[input] = result_.network.add_value(source.values[input].name, shape);
      result_.network.inputs.push_back(values_[input]);
    }
  }

  ValueId value(ValueId old) const { return values_[old]; }
  void bind(ValueId old, ValueId fresh) { values_[old] = fresh; }
  TrainingNetwork& result() { return result_; }

  // Appends one plain layer. draw: the key of its weights, or "".
  Result<ValueId> add(const Layer& from, Op op, std::vector<ValueId> inputs,
                      const std::string& draw = "", int conv = -1) {
    if (!from.inputs.empty()) follow_batch(op, source_.shape(from.inputs[0]));
    std::vector<Shape> shapes;
    for (const ValueId input : inputs) shapes.push_back(result_.network.shape(input));
    if (auto shape = infer_shape(op, shapes); !shape.ok()) {
      return error("layer '{}' ({}) fixes the batch at {} and cannot be scored on {} images: {}",
                   from.name, op_name(op), old_batch_, batch_, shape.error().message);
    }
    if (!draw.empty()) result_.classifier = static_cast<int>(result_.network.layers.size());
    result_.draws.push_back(draw);
    result_.convs.push_back(conv);
    return result_.network.add_layer(from.name, std::move(op), std::move(inputs));
  }

 private:
  // A shape in the op that begins with the old batch begins with the new one.
  void follow_batch(Op& op, const Shape& input) {
    if (input.empty() || input[0] != old_batch_) return;
    const auto follow = [&](Shape& shape) {
      if (!shape.empty() && shape[0] == old_batch_) shape[0] = batch_;
    };
    if (auto* reshape = std::get_if<Reshape>(&op)) follow(reshape->shape);
    if (auto* slice = std::get_if<Slice>(&op)) follow(slice->shape);
  }

  const Network& source_;
  std::vector<ValueId> values_;
  int64_t old_batch_ = 1, batch_ = 1;
  TrainingNetwork result_;
};

// What a fused layer does after its own op.
struct After {
  ValueId residual = -1;
  std::optional<Activation> activation;
};

// The layers that one layer of a network stands for, the fused parts written out.
Result<ValueId> add_unfused(Builder& builder, const Layer& layer, std::vector<ValueId> inputs,
                            int conv_position, int dense_position) {
  Op op = layer.op;
  After after;
  std::string draw;
  if (auto* conv = std::get_if<Conv>(&op)) {
    if (conv->prologue.scale) {
      TRY(inputs[0],
          builder.add(layer, Affine{conv->prologue.scale, conv->prologue.shift, {}}, {inputs[0]}));
    }
    if (conv->prologue.activation) {
      TRY(inputs[0], builder.add(layer, *conv->prologue.activation, {inputs[0]}));
    }
    if (conv->epilogue.residual) {
      after.residual = inputs[1];
      inputs.resize(1);
    }
    after.activation = conv->epilogue.activation;
    conv->prologue = {};
    conv->epilogue = {};
    draw = fmt::format("conv {}", conv_position);
  } else if (auto* dense = std::get_if<Dense>(&op)) {
    after.activation = std::exchange(dense->activation, {});
    draw = fmt::format("dense {}", dense_position);
  } else if (auto* affine = std::get_if<Affine>(&op)) {
    after.activation = std::exchange(affine->activation, {});
  } else if (auto* binary = std::get_if<Binary>(&op)) {
    after.activation = std::exchange(binary->activation, {});
  }
  TRY(ValueId value, builder.add(layer, op, inputs, draw, conv_position));
  if (after.residual >= 0) {
    TRY(value, builder.add(layer, Binary{}, {value, after.residual}));
  }
  if (after.activation) {
    TRY(value, builder.add(layer, *after.activation, {value}));
  }
  return value;
}

Result<TrainingNetwork> unfused(const Network& network, int64_t batch) {
  Builder builder(network, batch);
  const std::vector<int> makers = producers(network);
  const int last = makers[network.outputs[0]];
  int convs = 0, denses = 0;
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    const Layer& layer = network.layers[i];
    std::vector<ValueId> inputs;
    for (const ValueId input : layer.inputs) inputs.push_back(builder.value(input));
    if (std::holds_alternative<Softmax>(layer.op)) {
      if (i != last) {
        return error("layer '{}' is a Softmax inside the network: scoring cannot go through it",
                     layer.name);
      }
      builder.bind(layer.output, inputs[0]);
      continue;
    }
    const int conv = std::holds_alternative<Conv>(layer.op) ? convs++ : -1;
    const int dense = std::holds_alternative<Dense>(layer.op) ? denses++ : -1;
    TRY(const ValueId value, add_unfused(builder, layer, std::move(inputs), conv, dense));
    builder.bind(layer.output, value);
  }
  TrainingNetwork result = std::move(builder.result());
  result.network.outputs = {builder.value(network.outputs[0])};
  return result;
}

BatchNorm fresh_norm(int64_t channels) {
  const Constant one = std::make_shared<Tensor>(Shape{channels}, 1.0f);
  const Constant zero = std::make_shared<Tensor>(Shape{channels}, 0.0f);
  return {one, zero, zero, one, 1e-5f};
}

// Weights are drawn for each seed; biases are 0.
void forget_weights(Op& op) {
  if (auto* conv = std::get_if<Conv>(&op)) {
    conv->weight = abstract_constant(conv->weight->shape);
    conv->bias = nullptr;
  } else if (auto* dense = std::get_if<Dense>(&op)) {
    dense->weight = abstract_constant(dense->weight->shape);
    dense->bias = nullptr;
  }
}

// Puts a batch norm after every conv that lacks one, and finds the slots' values.
Result<TrainingNetwork> with_norms(const TrainingNetwork& plain, const std::vector<int>& slots) {
  const Network& network = plain.network;
  const std::vector<std::vector<int>> readers = consumers(network);
  Builder builder(network, 0);
  std::map<int, ValueId> value_of_conv;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    std::vector<ValueId> inputs;
    for (const ValueId input : layer.inputs) inputs.push_back(builder.value(input));
    Op op = layer.op;
    forget_weights(op);
    TRY(ValueId value, builder.add(layer, std::move(op), inputs, plain.draws[i], plain.convs[i]));
    if (plain.convs[i] >= 0) {
      value_of_conv[plain.convs[i]] = value;
      const Shape& shape = network.shape(layer.output);
      if (!is_image_of_one_pixel(shape) && lacks_norm(network, readers, layer)) {
        TRY(value, builder.add(layer, fresh_norm(shape[1]), {value}));
      }
    }
    builder.bind(layer.output, value);
  }
  TrainingNetwork result = std::move(builder.result());
  result.network.outputs = {builder.value(network.outputs[0])};
  result.slots = slots;
  for (const int slot : slots) {
    EMULSION_CHECK(value_of_conv.contains(slot));
    result.slot_values.push_back(value_of_conv[slot]);
  }
  return result;
}

}  // namespace

Result<TrainingNetwork> plain_network(const Network& network, int64_t batch) {
  if (network.inputs.size() != 1 || network.outputs.size() != 1) {
    return error("scoring needs a network with one input and one output, this one has {} and {}",
                 network.inputs.size(), network.outputs.size());
  }
  TRY(TrainingNetwork plain, unfused(network, batch));
  const Shape& output = plain.network.shape(plain.network.outputs[0]);
  if (output.size() != 2 || output[0] != batch) {
    return error("scoring needs an output of shape [N, classes], this network's is {}",
                 to_text(network.shape(network.outputs[0])));
  }
  if (plain.classifier < 0) return error("the network has no weights to score");
  return plain;
}

Result<TrainingNetwork> training_network(const Network& network, const std::vector<int>& slots,
                                         int64_t batch) {
  TRY(const TrainingNetwork plain, plain_network(network, batch));
  return with_norms(plain, slots);
}

Result<TrainingNetwork> rewritten(const TrainingNetwork& original,
                                  const std::map<int, Steps>& rewrites) {
  std::map<int, Steps> changes = rewrites;
  std::erase_if(changes, [](const auto& change) { return change.second.empty(); });
  std::vector<int> came_from;
  TRY(Network changed, apply_rewrites(original.network, changes, &came_from));

  TrainingNetwork result{std::move(changed), {}, {}, -1, original.slots, {}};
  std::map<ValueId, ValueId> value_now;  // of the original's layers
  std::map<int, int> parts;              // convs so far, by the conv that they replace
  for (int i = 0; i < static_cast<int>(came_from.size()); ++i) {
    const int source = came_from[i], conv = original.convs[source];
    const auto change = changes.find(conv);
    const Layer& layer = result.network.layers[i];
    if (change == changes.end()) {
      result.draws.push_back(original.draws[source]);
    } else if (std::holds_alternative<Conv>(layer.op)) {
      result.draws.push_back(fmt::format("{} {} part {}", original.draws[source],
                                         to_text(change->second), parts[conv]++));
    } else {
      result.draws.push_back("");
    }
    result.convs.push_back(std::holds_alternative<Conv>(layer.op) ? conv : -1);
    if (!result.draws.back().empty()) result.classifier = i;
    value_now[original.network.layers[source].output] = layer.output;
  }
  for (const ValueId value : original.slot_values) {
    result.slot_values.push_back(value_now.at(value));
  }
  return result;
}

}  // namespace emulsion
