#include "legality/narrow_network.h"

#include <algorithm>

namespace emulsion {
namespace {

Result<int64_t> divided(int64_t count, int factor) {
  if (count % factor != 0) return error("{} does not divide {}", factor, count);
  return count / factor;
}

// The dimensions in which the input has become narrower.
std::vector<bool> narrower(const Shape& before, const Shape& after) {
  std::vector<bool> result;
  for (size_t d = 0; d < before.size(); ++d) result.push_back(before[d] != after[d]);
  return result;
}

Result<Op> narrow_conv(Conv conv, const Shape& input, int factor, bool classifies) {
  const Shape& w = conv.weight->shape;
  const int64_t ci = input[1];
  int64_t co = w[0];
  if (!classifies) {
    TRY(co, divided(w[0], factor));
  }
  const bool depthwise = w[1] == 1 && conv.groups > 1;
  if (depthwise) {
    conv.groups = static_cast<int>(ci);
  } else if (ci % conv.groups != 0 || co % conv.groups != 0) {
    TRY(const int64_t groups, divided(conv.groups, factor));
    conv.groups = static_cast<int>(groups);
  }
  if (ci % conv.groups != 0 || co % conv.groups != 0) {
    return error("{} groups do not divide {} and {} channels", conv.groups, ci, co);
  }
  conv.weight = abstract_constant({co, ci / conv.groups, w[2], w[3]});
  return Op(std::move(conv));
}

Result<Op> narrow_dense(Dense dense, const Shape& input, int factor, bool classifies) {
  int64_t rows = dense.weight->shape[0];
  if (!classifies) {
    TRY(rows, divided(rows, factor));
  }
  dense.weight = abstract_constant({rows, input.back()});
  return Op(std::move(dense));
}

Result<Op> narrow_slice(Slice slice, const Shape& before, const Shape& after, int factor) {
  const std::vector<bool> narrow = narrower(before, after);
  for (size_t d = 0; d < narrow.size(); ++d) {
    if (!narrow[d]) continue;
    if (slice.steps[d] != 1) return error("it picks single channels");
    TRY(slice.starts[d], divided(slice.starts[d], factor));
    TRY(slice.shape[d], divided(slice.shape[d], factor));
  }
  return Op(std::move(slice));
}

Result<Op> narrow_pad(Pad pad, const Shape& before, const Shape& after, int factor) {
  const std::vector<bool> narrow = narrower(before, after);
  for (size_t d = 0; d < narrow.size(); ++d) {
    if (!narrow[d]) continue;
    TRY(pad.before[d], divided(pad.before[d], factor));
    TRY(pad.after[d], divided(pad.after[d], factor));
  }
  return Op(std::move(pad));
}

// [N, features] and [N, channels, ...]: the dimension behind the batch becomes narrower; of
// [N, groups, channels / groups, H, W] the one behind it, if it can.
Result<Op> narrow_reshape(Reshape reshape, const Shape& before, const Shape& after, int factor) {
  if (element_count(before) == element_count(after)) return Op(std::move(reshape));
  std::vector<size_t> order = {1};
  if (reshape.shape.size() == 5) order = {2, 1};
  for (const size_t d : order) {
    Shape shape = reshape.shape;
    if (d >= shape.size() || shape[d] % factor != 0) continue;
    shape[d] /= factor;
    if (element_count(shape) == element_count(after)) return Op(Reshape{shape});
  }
  return error("its shape {} cannot be made narrower", to_text(reshape.shape));
}

// Per-channel constants of other ops lose the channels that are gone.
Op with_fewer_channels(Op op, const Shape& before, const Shape& after) {
  for (Constant* constant_of : constants(op)) {
    if (!*constant_of) continue;
    const Tensor& old = **constant_of;
    if (old.shape.size() != 1 || old.abstract()) continue;
    for (size_t d = 1; d < before.size(); ++d) {
      if (before[d] == after[d] || old.shape[0] != before[d]) continue;
      *constant_of =
          constant({after[d]}, std::vector<float>(old.data.begin(), old.data.begin() + after[d]));
      break;
    }
  }
  return op;
}

Result<Op> narrow_op(const Layer& layer, const Shape& before, const Shape& after, int factor,
                     bool classifies) {
  return std::visit(
      overloaded{
          [&](const Conv& op) { return narrow_conv(op, after, factor, classifies); },
          [&](const Dense& op) { return narrow_dense(op, after, factor, classifies); },
          [&](const Slice& op) { return narrow_slice(op, before, after, factor); },
          [&](const Pad& op) { return narrow_pad(op, before, after, factor); },
          [&](const Reshape& op) { return narrow_reshape(op, before, after, factor); },
          [&](const auto& op) { return Result<Op>(with_fewer_channels(Op(op), before, after)); }},
      layer.op);
}

}  // namespace

Result<TrainingNetwork> narrow_network(const TrainingNetwork& original, int factor) {
  const Network& network = original.network;
  TrainingNetwork result = original;  // the keys and numbers; layers and values come again
  result.network = {};
  result.network.name = network.name;
  for (const ValueId input : network.inputs) {
    const Value& value = network.values[input];
    EMULSION_CHECK(result.network.add_value(value.name, value.shape) == input);
  }
  result.network.inputs = network.inputs;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Layer& layer = network.layers[i];
    const bool classifies = static_cast<int>(i) == original.classifier;
    Op op = layer.op;
    std::vector<Shape> shapes;
    for (const ValueId input : layer.inputs) shapes.push_back(result.network.shape(input));
    if (!shapes.empty()) {
      auto narrow = narrow_op(layer, network.shape(layer.inputs[0]), shapes[0], factor, classifies);
      if (!narrow.ok()) return narrow.error().in(fmt::format("layer '{}'", layer.name));
      op = std::move(narrow).value();
    }
    if (const auto fits = infer_shape(op, shapes); !fits.ok()) {
      return fits.error().in(fmt::format("layer '{}' made narrower", layer.name));
    }
    EMULSION_CHECK(result.network.add_layer(layer.name, std::move(op), layer.inputs) ==
                   layer.output);
  }
  result.network.outputs = network.outputs;
  if (result.network.shape(network.outputs[0]) != network.shape(network.outputs[0])) {
    return error("the classes would change");
  }
  return result;
}

}  // namespace emulsion
