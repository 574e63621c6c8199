// Layer, instance and group norms: a Normalize, then scale and bias as arithmetic with
// broadcasting, which simplification puts into neighbours.
#include <numeric>

#include "onnx/convert.h"

namespace emulsion {

namespace {

std::vector<int> axes_from(size_t first, size_t rank) {
  std::vector<int> axes(rank - first);
  std::iota(axes.begin(), axes.end(), static_cast<int>(first));
  return axes;
}

// Input i (scale or bias) under another shape.
Result<ValueId> reshaped_input(Node& node, int i, const Shape& shape) {
  TRY(const Shape own, node.shape(i));
  if (element_count(own) != element_count(shape)) {
    return error("input {} has shape {} where {} is needed", i, to_text(own), to_text(shape));
  }
  if (node.known(i)) {
    TRY(const Constant values, node.floats(i, i == 1 ? "scale" : "bias"));
    return node.literal(constant(shape, values->data));
  }
  TRY(const ValueId value, node.value(i));
  return node.emit(Reshape{shape}, {value});
}

// x scale + bias; no bias: -1.
Status finish_scaled(Node& node, ValueId x, ValueId scale, ValueId bias) {
  TRY(const ValueId y, node.emit(Binary{Binary::Kind::mul, {}}, {x, scale}));
  if (bias < 0) return node.set(0, y);
  return node.finish(Binary{Binary::Kind::add, {}}, {y, bias});
}

// The optional outputs: mean, and 1 / sqrt(variance + epsilon).
Status set_statistics(Node& node, ValueId x, const std::vector<int>& axes, float epsilon) {
  TRY(const ValueId mean, node.emit(ReduceMean{axes, true}, {x}));
  TRY(const ValueId centred, node.emit(Binary{Binary::Kind::sub, {}}, {x, mean}));
  TRY(const ValueId squares, node.emit(Binary{Binary::Kind::mul, {}}, {centred, centred}));
  TRY(const ValueId variance, node.emit(ReduceMean{axes, true}, {squares}));
  TRY(const ValueId added, node.literal(constant({}, {epsilon})));
  TRY(const ValueId sum, node.emit(Binary{Binary::Kind::add, {}}, {variance, added}));
  TRY(const ValueId inverse,
      node.emit(Activation{.kind = Activation::Kind::power, .alpha = -0.5f}, {sum}));
  if (node.output_used(1)) TRY_OK(node.set(1, mean));
  if (node.output_used(2)) TRY_OK(node.set(2, inverse));
  return ok();
}

}  // namespace

Status convert_layer_norm(Node& node) {
  TRY(const Shape shape, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", -1, shape.size()));
  TRY(const float epsilon, node.float_attribute("epsilon", 1e-5f));
  const std::vector<int> axes = axes_from(axis, shape.size());
  TRY(const ValueId x, node.value(0));
  TRY(const ValueId scale, node.value(1));
  const ValueId no_bias = -1;
  ValueId bias = no_bias;
  if (node.has(2)) {
    TRY(bias, node.value(2));
  }
  TRY(const ValueId normal, node.emit(Normalize{axes, epsilon}, {x}));
  for (const int i : {1, 2}) {
    if (!node.has(i)) continue;
    TRY(const Shape own, node.shape(i));
    TRY(const Shape common, broadcast_shape(shape, own));
    if (common != shape) {
      return error("input {} {} does not broadcast to x {}", i, to_text(own), to_text(shape));
    }
  }
  TRY_OK(finish_scaled(node, normal, scale, bias));
  if (node.output_used(1) || node.output_used(2)) return set_statistics(node, x, axes, epsilon);
  return ok();
}

Status convert_instance_norm(Node& node) {
  TRY(const Shape shape, node.shape(0));
  if (shape.size() < 3) return error("the input {} is no image", to_text(shape));
  TRY(const float epsilon, node.float_attribute("epsilon", 1e-5f));
  Shape channels(shape.size() - 1, 1);
  channels[0] = shape[1];
  TRY(const ValueId scale, reshaped_input(node, 1, channels));
  TRY(const ValueId bias, reshaped_input(node, 2, channels));
  TRY(const ValueId x, node.value(0));
  TRY(const ValueId normal, node.emit(Normalize{axes_from(2, shape.size()), epsilon}, {x}));
  return finish_scaled(node, normal, scale, bias);
}

// The image as [N groups C/groups ...], normalised over all but the first two dimensions.
Status convert_group_norm(Node& node) {
  TRY(const Shape shape, node.shape(0));
  if (shape.size() < 2) return error("the input {} has no channels", to_text(shape));
  TRY(const int64_t groups, node.int_attribute("num_groups", 0));
  if (groups < 1 || shape[1] % groups != 0) {
    return error("attribute 'num_groups' is {}, which does not divide {} channels", groups,
                 shape[1]);
  }
  TRY(const float epsilon, node.float_attribute("epsilon", 1e-5f));
  Shape split = {shape[0], groups, shape[1] / groups};
  split.insert(split.end(), shape.begin() + 2, shape.end());
  TRY(const ValueId x, node.value(0));
  TRY(const ValueId grouped, node.emit(Reshape{split}, {x}));
  TRY(ValueId y, node.emit(Normalize{axes_from(2, split.size()), epsilon}, {grouped}));
  const bool by_group = node.opset() < 21;
  if (!by_group) {
    TRY(y, node.emit(Reshape{shape}, {y}));
  }
  Shape channels((by_group ? split : shape).size() - 1, 1);
  channels[0] = by_group ? groups : shape[1];
  TRY(const ValueId scale, reshaped_input(node, 1, channels));
  TRY(const ValueId bias, reshaped_input(node, 2, channels));
  TRY(y, node.emit(Binary{Binary::Kind::mul, {}}, {y, scale}));
  if (!by_group) return node.finish(Binary{Binary::Kind::add, {}}, {y, bias});
  TRY(y, node.emit(Binary{Binary::Kind::add, {}}, {y, bias}));
  return node.finish(Reshape{shape}, {y});
}

}  // namespace emulsion
