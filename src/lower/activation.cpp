#include "lower/activation.h"

namespace emulsion {

using Halide::Expr;

Expr activate(const Activation& activation, Expr x, Expr slope) {
  using Kind = Activation::Kind;
  const float alpha = activation.alpha, beta = activation.beta;
  const auto clamp01 = [](const Expr& e) { return Halide::max(Halide::min(e, 1.0f), 0.0f); };
  const auto sigmoid = [](const Expr& e) { return 1.0f / (1.0f + Halide::exp(-e)); };
  switch (activation.kind) {
    case Kind::relu:
      return Halide::max(x, 0.0f);
    case Kind::leaky_relu:
      return Halide::select(x >= 0.0f, x, alpha * x);
    case Kind::prelu:
      EMULSION_CHECK(slope.defined());
      return Halide::select(x >= 0.0f, x, slope * x);
    case Kind::clip:
      return Halide::min(Halide::max(x, alpha), beta);
    case Kind::sigmoid:
      return sigmoid(x);
    case Kind::hard_sigmoid:
      return clamp01(alpha * x + beta);
    case Kind::hard_swish:
      return x * clamp01(x * (1.0f / 6.0f) + 0.5f);
    case Kind::silu:
      return x * sigmoid(x);
  }
  EMULSION_CHECK(false);
}

Expr activate(const std::optional<Activation>& activation, Expr x, Expr slope) {
  return activation ? activate(*activation, x, slope) : x;
}

}  // namespace emulsion
