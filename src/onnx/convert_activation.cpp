// Activations and softmax.
#include <cmath>
#include <limits>

#include "onnx/convert.h"

namespace emulsion {

namespace {

constexpr float k_lowest = std::numeric_limits<float>::lowest();
constexpr float k_highest = std::numeric_limits<float>::max();

Status finish_activation(Node& node, Activation::Kind kind, float alpha = 0, float beta = 0) {
  TRY(const ValueId x, node.value(0));
  return node.finish(Activation{kind, alpha, beta, nullptr}, {x});
}

// Infinite bounds become the largest floats: the same for every finite x, and writable as text.
Status finish_clip(Node& node, float least, float most) {
  if (std::isnan(least) || std::isnan(most)) return error("a bound is NaN");
  least = std::max(least, k_lowest);
  most = std::min(most, k_highest);
  if (least == 0 && most == k_highest) return finish_activation(node, Activation::Kind::relu);
  return finish_activation(node, Activation::Kind::clip, least, most);
}

// The slope as [C] (or one element) when that is what its shape means against x, else null.
Constant channel_slope(const Known& slope, const Shape& x) {
  if (element_count(slope.shape) == 1) return constant({1}, slope.floats->data);
  if (slope.shape.size() > x.size() || x.size() < 2) return nullptr;
  const size_t lead = x.size() - slope.shape.size();
  for (size_t d = 0; d < slope.shape.size(); ++d) {
    if (slope.shape[d] != (lead + d == 1 ? x[1] : 1)) return nullptr;
  }
  return element_count(slope.shape) == x[1] ? constant({x[1]}, slope.floats->data) : nullptr;
}

}  // namespace

Status convert_relu(Node& node) {
  return finish_activation(node, Activation::Kind::relu);
}

Status convert_leaky_relu(Node& node) {
  TRY(const float alpha, node.float_attribute("alpha", 0.01f));
  return finish_activation(node, Activation::Kind::leaky_relu, alpha);
}

Status convert_prelu(Node& node) {
  TRY(const Shape x_shape, node.shape(0));
  TRY(const ValueId x, node.value(0));
  if (node.known(1)) {
    TRY_OK(node.floats(1, "slope"));
    if (Constant slope = channel_slope(node.known_value(1), x_shape)) {
      return node.finish(Activation{Activation::Kind::prelu, 0, 0, std::move(slope)}, {x});
    }
  }
  // Any other slope: max(x, 0) + slope min(x, 0).
  TRY(const Shape slope_shape, node.shape(1));
  TRY(const Shape common, broadcast_shape(x_shape, slope_shape));
  if (common != x_shape) {
    return error("slope {} does not broadcast to x {}", to_text(slope_shape), to_text(x_shape));
  }
  TRY(const ValueId slope, node.value(1));
  TRY(const ValueId above, node.emit(Activation{Activation::Kind::relu, 0, 0, nullptr}, {x}));
  TRY(const ValueId below,
      node.emit(Activation{Activation::Kind::clip, k_lowest, 0, nullptr}, {x}));
  TRY(const ValueId scaled, node.emit(Binary{Binary::Kind::mul, {}}, {below, slope}));
  return node.finish(Binary{Binary::Kind::add, {}}, {above, scaled});
}

Status convert_clip_attributes(Node& node) {
  TRY(const float least, node.float_attribute("min", k_lowest));
  TRY(const float most, node.float_attribute("max", k_highest));
  return finish_clip(node, least, most);
}

Status convert_clip_inputs(Node& node) {
  TRY(const float least, node.number(1, "min", k_lowest));
  TRY(const float most, node.number(2, "max", k_highest));
  return finish_clip(node, least, most);
}

Status convert_sigmoid(Node& node) {
  return finish_activation(node, Activation::Kind::sigmoid);
}

Status convert_hard_sigmoid(Node& node) {
  TRY(const float alpha, node.float_attribute("alpha", 0.2f));
  TRY(const float beta, node.float_attribute("beta", 0.5f));
  return finish_activation(node, Activation::Kind::hard_sigmoid, alpha, beta);
}

Status convert_hard_swish(Node& node) {
  return finish_activation(node, Activation::Kind::hard_swish);
}

Status convert_elu(Node& node) {
  TRY(const float alpha, node.float_attribute("alpha", 1));
  return finish_activation(node, Activation::Kind::elu, alpha);
}
Status convert_softplus(Node& node) {
  return finish_activation(node, Activation::Kind::softplus);
}
Status convert_mish(Node& node) {
  return finish_activation(node, Activation::Kind::mish);
}

Status convert_gelu(Node& node) {
  TRY(const std::string form, node.string_attribute("approximate", "none"));
  if (form == "none") return finish_activation(node, Activation::Kind::gelu);
  if (form == "tanh") return finish_activation(node, Activation::Kind::gelu_tanh);
  return error("attribute 'approximate' is '{}'; none, tanh are supported", form);
}

Status convert_tanh(Node& node) {
  return finish_activation(node, Activation::Kind::tanh);
}
Status convert_erf(Node& node) {
  return finish_activation(node, Activation::Kind::erf);
}
Status convert_exp(Node& node) {
  return finish_activation(node, Activation::Kind::exp);
}
Status convert_log(Node& node) {
  return finish_activation(node, Activation::Kind::log);
}
Status convert_sqrt(Node& node) {
  return finish_activation(node, Activation::Kind::sqrt);
}
Status convert_abs(Node& node) {
  return finish_activation(node, Activation::Kind::abs);
}
Status convert_reciprocal(Node& node) {
  return finish_activation(node, Activation::Kind::power, -1);
}

Status convert_neg(Node& node) {
  TRY(const ValueId x, node.value(0));
  TRY(const ValueId minus_one, node.literal(constant({}, {-1.0f})));
  return node.finish(Binary{Binary::Kind::mul, {}}, {x, minus_one});
}

// Before opset 13 all dimensions from axis on count as one.
Status convert_softmax_flattened(Node& node) {
  TRY(const Shape x_shape, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", 1, x_shape.size()));
  TRY(const ValueId x, node.value(0));
  const int64_t tail = element_count(Shape(x_shape.begin() + axis, x_shape.end()));
  if (tail == x_shape[axis]) return node.finish(Softmax{axis}, {x});
  const Shape flat{element_count(x_shape) / tail, tail};
  TRY(const ValueId rows, node.emit(Reshape{flat}, {x}));
  TRY(const ValueId soft, node.emit(Softmax{1}, {rows}));
  return node.finish(Reshape{x_shape}, {soft});
}

Status convert_softmax(Node& node) {
  TRY(const Shape x_shape, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", -1, x_shape.size()));
  TRY(const ValueId x, node.value(0));
  return node.finish(Softmax{axis}, {x});
}

}  // namespace emulsion
