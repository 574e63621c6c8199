// Activation, Affine, BatchNorm and Binary kernels compute what evaluate() does.
#include <cmath>

#include "lower/activation.h"
#include "network/evaluate.h"
#include "op_harness.h"

namespace emulsion {
namespace {

using Kind = Activation::Kind;

const std::vector<Shape> k_images = {{2, 17, 5, 3}, {1, 3, 5, 17}, {1, 1, 1, 1}, {2, 64, 3, 5}};

TEST(Elementwise, ReluInEveryLayout) {
  for (const Shape& shape : k_images) check_op(Activation{}, {shape});
}

TEST(Elementwise, EveryActivation) {
  for (const Activation& a : {Activation{Kind::relu},
                              Activation{Kind::leaky_relu, 0.1f},
                              Activation{Kind::clip, -0.5f, 1.0f},
                              Activation{Kind::sigmoid},
                              Activation{Kind::hard_sigmoid, 0.3f, 0.4f},
                              Activation{Kind::hard_swish},
                              Activation{Kind::silu},
                              Activation{Kind::prelu, 0, 0, noise_constant({17}, 3)},
                              Activation{Kind::prelu, 0, 0, noise_constant({1}, 3)},
                              Activation{Kind::gelu},
                              Activation{Kind::gelu_tanh},
                              Activation{Kind::mish},
                              Activation{Kind::elu, 0.7f},
                              Activation{Kind::softplus},
                              Activation{Kind::tanh},
                              Activation{Kind::erf},
                              Activation{Kind::exp},
                              Activation{Kind::abs},
                              Activation{Kind::power, 2},
                              Activation{Kind::power, 5}}) {
    check_op(a, {{2, 17, 3, 5}}, Layout::channels_last, Layout::rim);
    check_op(a, {{2, 17, 3, 5}}, Layout::row_major, Layout::row_major);
  }
}

// Roots and logarithms are of positive numbers.
TEST(Elementwise, ActivationsOfPositiveNumbers) {
  const Constant one = std::make_shared<const Tensor>(Shape{17}, 1.0f);
  const Constant three = std::make_shared<const Tensor>(Shape{17}, 3.0f);
  for (const Activation& a : {Activation{Kind::sqrt}, Activation{Kind::log},
                              Activation{Kind::power, 0.5f}, Activation{Kind::power, -0.25f},
                              Activation{Kind::power, 1.7f}, Activation{Kind::power, -2}}) {
    check_op(Affine{one, three, a}, {{2, 17, 3, 5}}, Layout::channels_last, Layout::channels_last);
  }
}

// Far from 0 too, where approximations end.
TEST(Elementwise, ActivationsOverTheWholeLine) {
  std::vector<float> line;
  for (float x = 1e-7f; x < 90; x *= 1.07f) line.insert(line.end(), {x, -x});
  for (const Kind kind : {Kind::tanh, Kind::erf, Kind::gelu, Kind::gelu_tanh, Kind::mish,
                          Kind::softplus, Kind::sigmoid, Kind::silu}) {
    Halide::Buffer<float> in(line.data(), static_cast<int>(line.size()));
    const Halide::Var x;
    Halide::Func f;
    f(x) = activate(Activation{kind}, in(x));
    f.vectorize(x, 8, Halide::TailStrategy::GuardWithIf);
    const Halide::Buffer<float> got = f.realize({in.width()});
    const Tensor expected = evaluate(Activation{kind}, {Tensor({in.width()}, line)});
    for (int i = 0; i < in.width(); ++i) {
      const float wanted = expected.data[i];
      EXPECT_NEAR(got(i), wanted, 1e-6f * std::max(1.0f, std::abs(wanted)))
          << activation_name(kind) << " of " << line[i];
    }
  }
}

TEST(Binary, PowersAreTheStandardLibrarys) {
  const std::vector<float> bases = {-3, -1, -0.5f, 0, 0.5f, 1, 2.5f, 40};
  const std::vector<float> exponents = {-3, -2, -0.5f, 0, 0.5f, 1, 2, 3, 5.25f};
  Halide::Buffer<float> base(const_cast<float*>(bases.data()), static_cast<int>(bases.size()));
  Halide::Buffer<float> exponent(const_cast<float*>(exponents.data()),
                                 static_cast<int>(exponents.size()));
  const Halide::Var x, y;
  Halide::Func f;
  f(x, y) = power_of(base(x), exponent(y));
  const Halide::Buffer<float> got = f.realize({base.width(), exponent.width()});
  for (int i = 0; i < base.width(); ++i) {
    for (int j = 0; j < exponent.width(); ++j) {
      const float wanted = std::pow(bases[i], exponents[j]);
      if (std::isfinite(wanted)) {
        EXPECT_NEAR(got(i, j), wanted, 1e-5f * std::abs(wanted)) << bases[i] << "^" << exponents[j];
      } else {
        EXPECT_EQ(std::isnan(got(i, j)), std::isnan(wanted)) << bases[i] << "^" << exponents[j];
      }
    }
  }
}

TEST(Elementwise, EveryRank) {
  for (const Shape& shape : std::vector<Shape>{
           {}, {5}, {40}, {3, 17}, {2, 3, 5}, {2, 3, 1, 2, 17}, {2, 1, 3, 2, 2, 5}}) {
    check_op(Activation{Kind::clip, -1.0f, 1.0f}, {shape});
  }
}

TEST(Elementwise, ScaleAndShiftPerChannel) {
  for (const int c : {1, 3, 17, 32}) {
    const Affine affine{noise_constant({c}, 7), noise_constant({c}, 8), Activation{}};
    check_op(affine, {{2, c, 3, 5}}, Layout::slice, Layout::rim);
    check_op(affine, {{2, c, 3, 5}}, Layout::row_major, Layout::channels_last);
    check_op(affine, {{2, c}}, Layout::row_major, Layout::row_major);
    check_op(affine, {{2, c, 9}}, Layout::row_major, Layout::row_major);
  }
}

TEST(Elementwise, ScaleAndShiftThenPrelu) {
  const Activation prelu{Kind::prelu, 0, 0, noise_constant({17}, 3)};
  check_op(Affine{noise_constant({17}, 7), noise_constant({17}, 8), prelu}, {{1, 17, 3, 5}},
           Layout::channels_last, Layout::channels_last);
}

TEST(Elementwise, BatchNormFromItsStatistics) {
  std::vector<float> variance(17);
  for (size_t i = 0; i < variance.size(); ++i) variance[i] = 0.1f + 0.2f * static_cast<float>(i);
  const BatchNorm norm{noise_constant({17}, 1), noise_constant({17}, 2), noise_constant({17}, 3),
                       constant({17}, variance), 1e-5f};
  check_op(norm, {{2, 17, 3, 5}}, Layout::channels_last, Layout::rim);
  check_op(norm, {{2, 17, 3, 5}}, Layout::row_major, Layout::row_major);
  check_op(norm, {{4, 17}}, Layout::row_major, Layout::row_major);
}

TEST(Binary, EveryKindInEveryLayout) {
  for (const auto kind :
       {Binary::Kind::add, Binary::Kind::sub, Binary::Kind::mul, Binary::Kind::div}) {
    check_op(Binary{kind, {}}, {{2, 17, 3, 5}, {2, 17, 3, 5}}, Layout::channels_last, Layout::rim);
    check_op(Binary{kind, Activation{}}, {{2, 3, 5}, {2, 3, 5}}, Layout::row_major,
             Layout::row_major);
  }
  check_op(Binary{}, {{2, 17, 3, 5}, {2, 17, 3, 5}});
}

TEST(Binary, BroadcastsAsNumPyDoes) {
  const std::vector<std::vector<Shape>> table = {
      {{2, 17, 3, 5}, {17, 1, 1}},
      {{2, 17, 3, 5}, {2, 17, 1, 1}},
      {{2, 17, 3, 5}, {1, 1, 3, 5}},
      {{2, 17, 3, 5}, {5}},
      {{2, 17, 3, 5}, {}},
      {{17, 1, 1}, {2, 1, 3, 5}},
      {{2, 1, 3, 1}, {1, 3, 1, 5}},
      {{3, 17}, {17}},
      {{3, 1}, {1, 17}},
      {{}, {}},
      {{1}, {2, 3, 1, 2, 5}},
  };
  for (const std::vector<Shape>& shapes : table) {
    check_op(Binary{Binary::Kind::sub, {}}, shapes, Layout::slice, Layout::rim);
  }
}

TEST(Elementwise, LargeEnoughForThreads) {
  check_op(Activation{}, {{2, 64, 37, 41}}, Layout::rim, Layout::channels_last);
  check_op(Activation{}, {{3, 70001}}, Layout::row_major, Layout::row_major);
  check_op(Activation{}, {{70001}}, Layout::row_major, Layout::row_major);
}

TEST(Elementwise, OtherVectorWidths) {
  check_op(Binary{}, {{2, 17, 3, 5}, {17, 1, 1}}, Layout::channels_last, Layout::rim,
           "x86-64-linux-avx-avx2-f16c-fma-sse41");
  check_op(Binary{}, {{2, 17, 3, 5}, {17, 1, 1}}, Layout::row_major, Layout::rim, "x86-64-linux");
}

}  // namespace
}  // namespace emulsion
