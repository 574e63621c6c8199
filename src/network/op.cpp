#include "network/op.h"

#include <type_traits>

#include "base/divide.h"

namespace emulsion {
namespace {

// Calls visit(constant) for every constant of an op, in the order in which text forms print them. O
// is Op or const Op.
template <class O, class F>
void visit_constants(O& op, F&& visit) {
  const auto visit_optional = [&](auto& activation) {
    if (activation) visit(activation->slope);
  };
  const auto visit_conv = [&](auto& conv) {
    visit(conv.weight);
    visit(conv.bias);
    visit(conv.prologue.scale);
    visit(conv.prologue.shift);
    visit_optional(conv.prologue.activation);
    visit_optional(conv.epilogue.activation);
  };
  std::visit(
      [&](auto& o) {
        using T = std::remove_cvref_t<decltype(o)>;
        if constexpr (std::is_same_v<T, Conv>) {
          visit_conv(o);
        } else if constexpr (std::is_same_v<T, ConvChain>) {
          for (auto& conv : o.convs) visit_conv(conv);
        } else if constexpr (std::is_same_v<T, Dense>) {
          visit(o.weight);
          visit(o.bias);
          visit_optional(o.activation);
        } else if constexpr (std::is_same_v<T, BatchNorm>) {
          visit(o.scale);
          visit(o.shift);
          visit(o.mean);
          visit(o.variance);
        } else if constexpr (std::is_same_v<T, Affine>) {
          visit(o.scale);
          visit(o.shift);
          visit_optional(o.activation);
        } else if constexpr (std::is_same_v<T, Activation>) {
          visit(o.slope);
        } else if constexpr (std::is_same_v<T, Binary>) {
          visit_optional(o.activation);
        } else if constexpr (std::is_same_v<T, Literal>) {
          visit(o.value);
        }
      },
      op);
}

}  // namespace

int64_t window_outputs(int64_t extent, int64_t before, int64_t after, int64_t covered,
                       int64_t stride, bool ceil_mode) {
  const int64_t room = extent + before + after - covered;
  if (room < 0) return 0;
  int64_t outputs = (ceil_mode ? divide_up(room, stride) : room / stride) + 1;
  if (ceil_mode && (outputs - 1) * stride >= extent + before) --outputs;
  return outputs;
}

const char* op_name(const Op& op) {
  static constexpr const char* k_names[] = {
      "conv",      "dense",   "batch_norm", "affine",     "activation", "normalize",   "binary",
      "literal",   "concat",  "slice",      "pad",        "pool",       "reduce_mean", "reshape",
      "transpose", "softmax", "resize",     "conv_chain", "copy"};
  static_assert(std::size(k_names) == std::variant_size_v<Op>);
  return k_names[op.index()];
}

const char* activation_name(Activation::Kind kind) {
  switch (kind) {
    case Activation::Kind::relu:
      return "relu";
    case Activation::Kind::leaky_relu:
      return "leaky_relu";
    case Activation::Kind::prelu:
      return "prelu";
    case Activation::Kind::clip:
      return "clip";
    case Activation::Kind::sigmoid:
      return "sigmoid";
    case Activation::Kind::hard_sigmoid:
      return "hard_sigmoid";
    case Activation::Kind::hard_swish:
      return "hard_swish";
    case Activation::Kind::silu:
      return "silu";
    case Activation::Kind::gelu:
      return "gelu";
    case Activation::Kind::gelu_tanh:
      return "gelu_tanh";
    case Activation::Kind::mish:
      return "mish";
    case Activation::Kind::elu:
      return "elu";
    case Activation::Kind::softplus:
      return "softplus";
    case Activation::Kind::tanh:
      return "tanh";
    case Activation::Kind::erf:
      return "erf";
    case Activation::Kind::exp:
      return "exp";
    case Activation::Kind::log:
      return "log";
    case Activation::Kind::sqrt:
      return "sqrt";
    case Activation::Kind::abs:
      return "abs";
    case Activation::Kind::power:
      return "power";
  }
  return "?";
}

int64_t multiplies(const Op& op, const Shape& output) {
  if (const auto* conv = std::get_if<Conv>(&op)) {
    const Shape& w = conv->weight->shape;
    return element_count(output) * w[1] * w[2] * w[3];
  }
  if (const auto* chain = std::get_if<ConvChain>(&op)) {
    const auto shapes =
        chain_shapes(*chain, {output[0], chain->convs[0].weight->shape[1] * chain->convs[0].groups,
                              chain->image[0], chain->image[1]});
    EMULSION_CHECK(shapes.ok());
    int64_t sum = 0;
    for (size_t i = 0; i < chain->convs.size(); ++i)
      sum += multiplies(Op(chain->convs[i]), (*shapes)[i]);
    return sum;
  }
  if (const auto* dense = std::get_if<Dense>(&op))
    return element_count(output) * dense->weight->shape[1];
  return 0;
}

int64_t parameters(const Op& op) {
  int64_t count = 0;
  for (const Constant& c : constants(op)) count += c ? element_count(c->shape) : 0;
  return count;
}

std::vector<Constant*> constants(Op& op) {
  std::vector<Constant*> list;
  visit_constants(op, [&](Constant& c) { list.push_back(&c); });
  return list;
}

std::vector<Constant> constants(const Op& op) {
  std::vector<Constant> list;
  visit_constants(op, [&](const Constant& c) { list.push_back(c); });
  return list;
}

}  // namespace emulsion
