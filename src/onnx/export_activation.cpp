#include "onnx/export_activation.h"

#include <cmath>
#include <numbers>

namespace emulsion {

Result<std::string> add_activation(GraphWriter& w, const Activation& a, const std::string& x,
                                   size_t rank, bool main) {
  const auto put = [&](const char* op, const std::vector<std::string>& inputs) -> auto& {
    return main ? w.add_main(op, inputs) : w.add(op, inputs);
  };
  using Kind = Activation::Kind;
  switch (a.kind) {
    case Kind::relu:
      return std::string(put("Relu", {x}).output(0));
    case Kind::sigmoid:
      return std::string(put("Sigmoid", {x}).output(0));
    case Kind::leaky_relu: {
      auto& node = put("LeakyRelu", {x});
      set_float(node, "alpha", a.alpha);
      return std::string(node.output(0));
    }
    case Kind::prelu: {
      // One element broadcasts to any rank as a scalar; [C] aligns with dimension 1.
      Shape shape;
      if (element_count(a.slope->shape) > 1) {
        shape = a.slope->shape;
        shape.resize(rank - 1, 1);
      }
      TRY(const std::string slope, w.constant_name("slope", a.slope, shape));
      return std::string(put("PRelu", {x, slope}).output(0));
    }
    case Kind::clip: {
      const std::string least = w.floats("min", {}, {a.alpha}),
                        most = w.floats("max", {}, {a.beta});
      return std::string(put("Clip", {x, least, most}).output(0));
    }
    case Kind::hard_sigmoid: {
      auto& node = put("HardSigmoid", {x});
      set_float(node, "alpha", a.alpha);
      set_float(node, "beta", a.beta);
      return std::string(node.output(0));
    }
    case Kind::hard_swish: {
      auto& gate = w.add("HardSigmoid", {x});
      set_float(gate, "alpha", 1.0f / 6.0f);
      set_float(gate, "beta", 0.5f);
      return std::string(put("Mul", {x, gate.output(0)}).output(0));
    }
    case Kind::silu: {
      auto& gate = w.add("Sigmoid", {x});
      return std::string(put("Mul", {x, gate.output(0)}).output(0));
    }
    case Kind::mish: {
      const std::string inner = w.add("Softplus", {x}).output(0);
      return std::string(put("Mul", {x, w.add("Tanh", {inner}).output(0)}).output(0));
    }
    case Kind::gelu: {
      const std::string scaled = w.arithmetic("Div", x, std::numbers::sqrt2_v<float>);
      const std::string gate = w.arithmetic("Add", w.add("Erf", {scaled}).output(0), 1);
      const std::string half = w.floats("half", {}, {0.5f});
      return std::string(put("Mul", {w.add("Mul", {x, gate}).output(0), half}).output(0));
    }
    case Kind::gelu_tanh: {
      const std::string cube = w.arithmetic("Mul", w.arithmetic("Pow", x, 3), 0.044715f);
      const std::string scaled = w.arithmetic("Mul", w.add("Add", {x, cube}).output(0),
                                              std::sqrt(2 * std::numbers::inv_pi_v<float>));
      const std::string gate = w.arithmetic("Add", w.add("Tanh", {scaled}).output(0), 1);
      const std::string half = w.floats("half", {}, {0.5f});
      return std::string(put("Mul", {w.add("Mul", {x, gate}).output(0), half}).output(0));
    }
    case Kind::elu: {
      auto& node = put("Elu", {x});
      set_float(node, "alpha", a.alpha);
      return std::string(node.output(0));
    }
    case Kind::softplus:
      return std::string(put("Softplus", {x}).output(0));
    case Kind::tanh:
      return std::string(put("Tanh", {x}).output(0));
    case Kind::erf:
      return std::string(put("Erf", {x}).output(0));
    case Kind::exp:
      return std::string(put("Exp", {x}).output(0));
    case Kind::log:
      return std::string(put("Log", {x}).output(0));
    case Kind::sqrt:
      return std::string(put("Sqrt", {x}).output(0));
    case Kind::abs:
      return std::string(put("Abs", {x}).output(0));
    case Kind::power:
      return std::string(put("Pow", {x, w.floats("exponent", {}, {a.alpha})}).output(0));
  }
  return error("unknown activation");
}

}  // namespace emulsion
