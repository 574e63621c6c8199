#include "lower/activation.h"

#include <cmath>
#include <limits>
#include <numbers>

namespace emulsion {

using Halide::Expr;

namespace {

// A rational approximation within a few units in the last place (Eigen's coefficients); beyond the
// clamp tanh is 1 in float32.
Expr tanh_of(const Expr& x_full) {
  constexpr float k_numerator[] = {
      4.89352455891786e-03f,  6.37261928875436e-04f, 1.48572235717979e-05f, 5.12229709037114e-08f,
      -8.60467152213735e-11f, 2.00018790482477e-13f, -2.76076847742355e-16f};
  constexpr float k_denominator[] = {4.89352518554385e-03f, 2.26843463243900e-03f,
                                     1.18534705686654e-04f, 1.19825839466702e-06f};
  const Expr x = Halide::clamp(x_full, -7.90531110763549805f, 7.90531110763549805f);
  const Expr square = x * x;
  const auto polynomial = [&](const auto& coefficients) {
    Expr sum = coefficients[std::size(coefficients) - 1];
    for (size_t i = std::size(coefficients) - 1; i-- > 0;) sum = sum * square + coefficients[i];
    return sum;
  };
  return x * polynomial(k_numerator) / polynomial(k_denominator);
}

// x tanh(softplus(x)) = x n / (n + 2) with n = e^x (e^x + 2); 1 from x = 20 on in float32.
Expr mish_of(const Expr& x) {
  const Expr power = Halide::exp(Halide::min(x, 20.0f));
  const Expr n = power * (power + 2.0f);
  return x * (n / (n + 2.0f));
}

Expr whole_power(const Expr& x, int n) {
  if (n == 1) return x;
  const Expr half = whole_power(x, n / 2);
  return n % 2 == 0 ? half * half : half * half * x;
}

// x^alpha for an alpha that is known.
Expr known_power(const Expr& x, float alpha) {
  constexpr float k_most_products = 64;
  if (alpha < 0) return 1.0f / known_power(x, -alpha);
  if (alpha == 0) return 1.0f;
  if (alpha == 0.5f) return Halide::sqrt(x);
  if (alpha <= k_most_products && alpha == std::floor(alpha))
    return whole_power(x, static_cast<int>(alpha));
  return power_of(x, Expr(alpha));
}

}  // namespace

Expr power_of(const Expr& x, const Expr& y) {
  const Expr magnitude = Halide::exp(Halide::log(Halide::abs(x)) * y);
  const Expr whole = y == Halide::floor(y);
  const Expr odd = Halide::floor(y * 0.5f) * 2.0f != y;
  const Expr of_negative = Halide::select(whole, Halide::select(odd, -magnitude, magnitude),
                                          Expr(std::numeric_limits<float>::quiet_NaN()));
  const Expr infinity = std::numeric_limits<float>::infinity();
  const Expr of_zero = Halide::select(y > 0.0f, 0.0f, infinity);
  return Halide::select(y == 0.0f, 1.0f, x == 0.0f, of_zero, x < 0.0f, of_negative, magnitude);
}

double activation_cost(const std::optional<Activation>& activation) {
  using Kind = Activation::Kind;
  if (!activation) return 0;
  switch (activation->kind) {
    case Kind::relu:
    case Kind::leaky_relu:
    case Kind::prelu:
    case Kind::clip:
    case Kind::hard_sigmoid:
    case Kind::hard_swish:
    case Kind::abs:
      return 1;
    default:
      return 20;
  }
}

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
    case Kind::gelu:
      return (0.5f * x) * (1.0f + Halide::erf(x * std::numbers::sqrt2_v<float> * 0.5f));
    case Kind::gelu_tanh: {
      const float factor = std::sqrt(2 * std::numbers::inv_pi_v<float>);
      // (1 + tanh(u)) / 2 is sigmoid(2 u), which loses nothing where u is far below 0.
      return x * sigmoid(2.0f * x * (factor + (factor * 0.044715f) * x * x));
    }
    case Kind::mish:
      return mish_of(x);
    case Kind::elu:
      return Halide::select(x >= 0.0f, x, alpha * (Halide::exp(Halide::min(x, 0.0f)) - 1.0f));
    case Kind::softplus:
      return Halide::max(x, 0.0f) + Halide::log(1.0f + Halide::exp(-Halide::abs(x)));
    case Kind::tanh:
      return tanh_of(x);
    case Kind::erf:
      return Halide::erf(x);
    case Kind::exp:
      return Halide::exp(x);
    case Kind::log:
      return Halide::log(x);
    case Kind::sqrt:
      return Halide::sqrt(x);
    case Kind::abs:
      return Halide::abs(x);
    case Kind::power:
      return known_power(x, alpha);
  }
  EMULSION_CHECK(false);
}

Expr activate(const std::optional<Activation>& activation, Expr x, Expr slope) {
  return activation ? activate(*activation, x, slope) : x;
}

}  // namespace emulsion
