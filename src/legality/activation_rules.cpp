// Activations in a training pass.
#include <cmath>
#include <numbers>

#include "legality/channel_loops.h"
#include "legality/training_ops.h"

namespace emulsion {
namespace {

// Value and slope at x.
template <class T>
struct ValueSlope {
  T value, slope;
};

template <class T>
ValueSlope<T> activate(const Activation& a, T x) {
  const T alpha = static_cast<T>(a.alpha), beta = static_cast<T>(a.beta);
  switch (a.kind) {
    case Activation::Kind::relu:
      return x > 0 ? ValueSlope<T>{x, T(1)} : ValueSlope<T>{T(0), T(0)};
    case Activation::Kind::leaky_relu:
    case Activation::Kind::prelu:  // alpha is the slope here
      return x >= 0 ? ValueSlope<T>{x, T(1)} : ValueSlope<T>{alpha * x, alpha};
    case Activation::Kind::clip:
      if (x < alpha) return {alpha, T(0)};
      if (x > beta) return {beta, T(0)};
      return {x, T(1)};
    case Activation::Kind::sigmoid: {
      const T s = T(1) / (T(1) + std::exp(-x));
      return {s, s * (T(1) - s)};
    }
    case Activation::Kind::hard_sigmoid: {
      const T s = alpha * x + beta;
      if (s < 0) return {T(0), T(0)};
      if (s > 1) return {T(1), T(0)};
      return {s, alpha};
    }
    case Activation::Kind::hard_swish: {
      if (x < -3) return {T(0), T(0)};
      if (x > 3) return {x, T(1)};
      return {x * (x / 6 + T(0.5)), x / 3 + T(0.5)};
    }
    case Activation::Kind::silu: {
      const T s = T(1) / (T(1) + std::exp(-x));
      return {x * s, s * (T(1) + x * (T(1) - s))};
    }
    case Activation::Kind::gelu: {
      const T share = (T(1) + std::erf(x * std::numbers::sqrt2_v<T> / 2)) / 2;
      const T density =
          std::exp(-x * x / 2) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
      return {x * share, share + x * density};
    }
    case Activation::Kind::gelu_tanh: {
      const T factor = std::sqrt(2 * std::numbers::inv_pi_v<T>), cubic = T(0.044715);
      const T t = std::tanh(factor * (x + cubic * x * x * x));
      const T inner = factor * (T(1) + 3 * cubic * x * x);
      return {x * (T(1) + t) / 2, (T(1) + t + x * (T(1) - t * t) * inner) / 2};
    }
    case Activation::Kind::mish: {
      const T s = T(1) / (T(1) + std::exp(-x));
      const T t = std::tanh(std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))));
      return {x * t, t + x * (T(1) - t * t) * s};
    }
    case Activation::Kind::elu:
      if (x >= 0) return {x, T(1)};
      return {alpha * std::expm1(x), alpha * std::exp(x)};
    case Activation::Kind::softplus:
      return {std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))), T(1) / (T(1) + std::exp(-x))};
    case Activation::Kind::tanh: {
      const T t = std::tanh(x);
      return {t, T(1) - t * t};
    }
    case Activation::Kind::erf:
      return {std::erf(x), 2 * std::numbers::inv_sqrtpi_v<T> * std::exp(-x * x)};
    case Activation::Kind::exp:
      return {std::exp(x), std::exp(x)};
    case Activation::Kind::log:
      return {std::log(x), T(1) / x};
    case Activation::Kind::sqrt:
      return {std::sqrt(x), T(0.5) / std::sqrt(x)};
    case Activation::Kind::abs:
      return {std::abs(x), x < 0 ? T(-1) : T(1)};
    case Activation::Kind::power:
      return {std::pow(x, alpha), alpha * std::pow(x, alpha - T(1))};
  }
  EMULSION_CHECK(false);
}

// Calls f(i, activation with its slope in alpha) for every element.
template <class F>
void for_each_activated(const Activation& activation, const Shape& shape, F f) {
  Activation a = activation;
  const int64_t n = element_count(shape);
  if (a.kind != Activation::Kind::prelu || a.slope->data.size() == 1) {
    if (a.kind == Activation::Kind::prelu) a.alpha = a.slope->data[0];
    for (int64_t i = 0; i < n; ++i) f(i, a);
    return;
  }
  const int64_t c = shape[1];
  const int64_t inner = shape.size() == 4 ? 1 : n / (shape[0] * c);
  for (int64_t i = 0; i < n; ++i) {
    a.alpha = a.slope->data[i / inner % c];
    f(i, a);
  }
}

}  // namespace

Kept activation_keeps(const Op& op) {
  const bool relu = std::get<Activation>(op).kind == Activation::Kind::relu;
  return {.inputs = !relu, .output = relu};
}

template <class T>
Status activation_forward(LayerPass<T>& pass) {
  const Activation& activation = std::get<Activation>(pass.op);
  const Array<T>& x = take_or_prepare_output(pass);
  Array<T>& y = *pass.output;
  if (activation.kind == Activation::Kind::relu) {
    relu_of(x.data.data(), element_count(x.shape), y.data.data());
    return ok();
  }
  for_each_activated(activation, x.shape, [&](int64_t i, const Activation& a) {
    y.data[i] = activate(a, x.data[i]).value;
  });
  return ok();
}

template <class T>
Status activation_backward(LayerPass<T>& pass) {
  const Activation& activation = std::get<Activation>(pass.op);
  Array<T>& g = *pass.gradient;
  if (activation.kind == Activation::Kind::relu) {
    relu_gradient(g.data.data(), pass.made->data.data(), element_count(g.shape));
  } else {
    const Array<T>& x = *pass.inputs[0];
    for_each_activated(activation, g.shape, [&](int64_t i, const Activation& a) {
      g.data[i] *= activate(a, x.data[i]).slope;
    });
  }
  pass.gradients[0] = std::move(g);
  return ok();
}

EMULSION_TRAINING_OP(activation)

}  // namespace emulsion
