#include "network/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/network/random_network.h"

namespace emulsion {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::FloatNear;
using testing::HasSubstr;
using testing::Pointwise;

// 1, 2, 3, ... in this shape.
Tensor counting(const Shape& shape) {
  Tensor t(shape);
  std::iota(t.data.begin(), t.data.end(), 1.0f);
  return t;
}

std::vector<float> run(const Op& op, const std::vector<Tensor>& inputs) {
  return evaluate(op, inputs).data;
}

TEST(EvaluateConv, SumsOverTheWindow) {
  Conv conv;
  conv.weight = constant({1, 1, 2, 2}, {1, 10, 100, 1000});
  conv.bias = constant({1}, {0.5});
  EXPECT_THAT(run(conv, {counting({1, 1, 2, 3})}), ElementsAre(5421.5, 6532.5));
}

TEST(EvaluateConv, PadsWithZerosUnevenly) {
  Conv conv;
  conv.pad = {1, 0, 0, 2};
  conv.weight = constant({1, 1, 1, 1}, {2});
  EXPECT_THAT(run(conv, {counting({1, 1, 2, 2})}), ElementsAre(0, 0, 0, 0, 2, 4, 0, 0, 6, 8, 0, 0));
}

TEST(EvaluateConv, StridesAndDilates) {
  Conv conv;
  conv.stride = {2, 3};
  conv.dilation = {1, 2};
  conv.weight = constant({1, 1, 1, 2}, {1, 100});
  // rows 0 and 2; columns 0, 2 and 3, 5 of rows of 6
  EXPECT_THAT(run(conv, {counting({1, 1, 3, 6})}), ElementsAre(301, 604, 1513, 1816));
}

TEST(EvaluateConv, StridesOverOneColumn) {
  Conv conv;
  conv.stride = {1, 2};
  conv.weight = constant({1, 1, 1, 1}, {1});
  EXPECT_THAT(run(conv, {counting({1, 1, 3, 1})}), ElementsAre(1, 2, 3));
}

TEST(EvaluateConv, KeepsGroupsApart) {
  Conv conv;
  conv.groups = 2;
  conv.weight = constant({4, 1, 1, 1}, {1, 10, 1, 10});
  EXPECT_THAT(run(conv, {counting({1, 2, 1, 2})}), ElementsAre(1, 2, 10, 20, 3, 4, 30, 40));
}

TEST(EvaluateConv, PadsAfterThePrologue) {
  Conv conv;
  conv.pad = {0, 1, 0, 0};
  conv.weight = constant({1, 2, 1, 1}, {1, 1});
  conv.prologue.scale = constant({2}, {1, -1});
  conv.prologue.shift = constant({2}, {5, 1});
  conv.prologue.activation = Activation{};
  // channel 0: 1 + 5; channel 1: relu(-2 + 1)
  EXPECT_THAT(run(conv, {counting({1, 2, 1, 1})}), ElementsAre(0, 6));
}

TEST(EvaluateConv, AddsTheResidualBeforeTheActivation) {
  Conv conv;
  conv.weight = constant({1, 1, 1, 1}, {1});
  conv.epilogue = {true, Activation{.kind = Activation::Kind::clip, .alpha = 0, .beta = 6}};
  EXPECT_THAT(run(conv, {Tensor({1, 1, 1, 3}, {1, 2, 3}), Tensor({1, 1, 1, 3}, {-2, 1, 9})}),
              ElementsAre(0, 3, 6));
}

// The definition, index by index, with no padding written out.
float conv_element(const Conv& conv, const Tensor& x, int64_t n, int64_t co, int64_t y,
                   int64_t column) {
  const Shape& w = conv.weight->shape;
  double sum = conv.bias ? conv.bias->data[co] : 0.0;
  const int64_t group = co / (w[0] / conv.groups);
  for (int64_t ci = 0; ci < w[1]; ++ci) {
    for (int64_t ky = 0; ky < w[2]; ++ky) {
      for (int64_t kx = 0; kx < w[3]; ++kx) {
        const int64_t in_y = y * conv.stride[0] + ky * conv.dilation[0] - conv.pad[0];
        const int64_t in_x = column * conv.stride[1] + kx * conv.dilation[1] - conv.pad[1];
        if (in_y < 0 || in_y >= x.shape[2] || in_x < 0 || in_x >= x.shape[3]) continue;
        const int64_t channel = group * w[1] + ci;
        sum += double{conv.weight->data[((co * w[1] + ci) * w[2] + ky) * w[3] + kx]} *
               x.data[((n * x.shape[1] + channel) * x.shape[2] + in_y) * x.shape[3] + in_x];
      }
    }
  }
  return static_cast<float>(sum);
}

TEST(EvaluateConv, AgreesWithTheDefinitionOnRandomConvs) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    RandomNetworkMaker maker(seed);
    const Shape shape{maker.pick(1, 2), maker.pick(1, 8), maker.pick(1, 8), maker.pick(1, 8)};
    Conv conv = maker.random_conv(shape);
    conv.prologue = {};
    conv.epilogue = {};
    const Tensor x = *maker.random_constant(shape, -1, 1);
    const Tensor y = evaluate(conv, {x});
    size_t at = 0;
    for (int64_t n = 0; n < y.shape[0]; ++n) {
      for (int64_t co = 0; co < y.shape[1]; ++co) {
        for (int64_t row = 0; row < y.shape[2]; ++row) {
          for (int64_t column = 0; column < y.shape[3]; ++column) {
            ASSERT_NEAR(y.data[at++], conv_element(conv, x, n, co, row, column), 1e-5);
          }
        }
      }
    }
  }
}

TEST(EvaluateDense, MultipliesRows) {
  const Dense dense{constant({2, 3}, {1, 0, 0, 1, 1, 1}), constant({2}, {0, 10}), {}};
  EXPECT_THAT(run(dense, {counting({2, 3})}), ElementsAre(1, 16, 4, 25));
}

TEST(EvaluateNorms, WorkPerChannel) {
  const BatchNorm norm{constant({2}, {1, 2}), constant({2}, {0, 1}), constant({2}, {1, 3}),
                       constant({2}, {3, 0}), 1.0f};
  EXPECT_THAT(run(norm, {counting({1, 2, 1, 2})}), ElementsAre(0, 0.5, 1, 3));
  const Affine affine{constant({2}, {1, -1}), constant({2}, {0, 3}), Activation{}};
  EXPECT_THAT(run(affine, {counting({2, 2})}), ElementsAre(1, 1, 3, 0));
}

TEST(EvaluateActivation, FollowsTheFormulas) {
  using Kind = Activation::Kind;
  const Tensor x({1, 2, 1, 2}, {-4, -1, 1, 4});
  const auto sigmoid = [](double v) { return static_cast<float>(1 / (1 + std::exp(-v))); };
  const std::pair<Activation, std::vector<float>> table[] = {
      {{.kind = Kind::relu}, {0, 0, 1, 4}},
      {{.kind = Kind::leaky_relu, .alpha = 0.25f}, {-1, -0.25f, 1, 4}},
      {{.kind = Kind::prelu, .slope = constant({2}, {0.5f, 9})}, {-2, -0.5f, 1, 4}},
      {{.kind = Kind::prelu, .slope = constant({1}, {2})}, {-8, -2, 1, 4}},
      {{.kind = Kind::clip, .alpha = -2, .beta = 3}, {-2, -1, 1, 3}},
      {{.kind = Kind::sigmoid}, {sigmoid(-4), sigmoid(-1), sigmoid(1), sigmoid(4)}},
      {{.kind = Kind::hard_sigmoid, .alpha = 0.25f, .beta = 0.5f}, {0, 0.25f, 0.75f, 1}},
      {{.kind = Kind::hard_swish}, {0, -1.0f / 3, 2.0f / 3, 4}},
      {{.kind = Kind::silu}, {-4 * sigmoid(-4), -sigmoid(-1), sigmoid(1), 4 * sigmoid(4)}},
      {{.kind = Kind::gelu}, {-1.2668e-4f, -0.1586553f, 0.8413447f, 3.9998733f}},
      {{.kind = Kind::gelu_tanh}, {-7.0226e-5f, -0.158808f, 0.841192f, 3.9999298f}},
      {{.kind = Kind::mish}, {-0.0725917f, -0.3034015f, 0.8650984f, 3.9974128f}},
      {{.kind = Kind::elu, .alpha = 2}, {-1.9633687f, -1.2642411f, 1, 4}},
      {{.kind = Kind::softplus}, {0.01814993f, 0.3132617f, 1.3132617f, 4.0181499f}},
      {{.kind = Kind::tanh}, {-0.9993293f, -0.7615942f, 0.7615942f, 0.9993293f}},
      {{.kind = Kind::erf}, {-1, -0.8427008f, 0.8427008f, 1}},
      {{.kind = Kind::exp}, {0.0183156f, 0.3678794f, 2.7182818f, 54.59815f}},
      {{.kind = Kind::abs}, {4, 1, 1, 4}},
      {{.kind = Kind::power, .alpha = 3}, {-64, -1, 1, 64}},
      {{.kind = Kind::power, .alpha = -1}, {-0.25f, -1, 1, 0.25f}},
  };
  for (const auto& [activation, expected] : table) {
    EXPECT_THAT(run(activation, {x}), Pointwise(FloatNear(4e-6f), expected))
        << activation_name(activation.kind);
  }
}

TEST(EvaluateActivation, RootsAndLogarithms) {
  const Tensor x({3}, {0.25f, 1, 9});
  EXPECT_THAT(run(Activation{Activation::Kind::sqrt}, {x}), ElementsAre(0.5, 1, 3));
  EXPECT_THAT(run(Activation{.kind = Activation::Kind::power, .alpha = -0.5f}, {x}),
              Pointwise(FloatNear(1e-6f), std::vector<float>{2, 1, 1.0f / 3}));
  EXPECT_THAT(run(Activation{Activation::Kind::log}, {x}),
              Pointwise(FloatNear(1e-6f), std::vector<float>{-1.3862944f, 0, 2.1972246f}));
}

TEST(EvaluateNormalize, OverTheAxesGiven) {
  const Tensor x = counting({2, 1, 2, 2});
  const float a = 1.5f / std::sqrt(1.25f), b = 0.5f / std::sqrt(1.25f);
  EXPECT_THAT(run(Normalize{{2, 3}, 0}, {x}),
              Pointwise(FloatNear(1e-6f), std::vector<float>{-a, -b, b, a, -a, -b, b, a}));
  EXPECT_THAT(run(Normalize{{0}, 12}, {x}),
              ElementsAre(-0.5, -0.5, -0.5, -0.5, 0.5, 0.5, 0.5, 0.5));
  EXPECT_THAT(run(Normalize{{1}, 1}, {x}), testing::Each(0));
}

TEST(EvaluateBinary, Broadcasts) {
  const Tensor x = counting({2, 3});
  EXPECT_THAT(run(Binary{Binary::Kind::add, {}}, {x, Tensor({3}, {10, 20, 30})}),
              ElementsAre(11, 22, 33, 14, 25, 36));
  EXPECT_THAT(run(Binary{Binary::Kind::sub, {}}, {Tensor({2, 1}, {10, 20}), x}),
              ElementsAre(9, 8, 7, 16, 15, 14));
  EXPECT_THAT(run(Binary{Binary::Kind::div, {}}, {x, Tensor(Shape{}, 2.0f)}),
              ElementsAre(0.5, 1, 1.5, 2, 2.5, 3));
  EXPECT_THAT(run(Binary{Binary::Kind::pow, {}}, {x, Tensor({2, 1}, {2, -1})}),
              ElementsAre(1, 4, 9, 0.25, 0.2f, 1.0f / 6));
  EXPECT_THAT(run(Binary{Binary::Kind::mul, Activation{}}, {x, Tensor({2, 1}, {-1, 1})}),
              ElementsAre(0, 0, 0, 4, 5, 6));
}

TEST(EvaluateMoves, ConcatSliceTransposeReshapeResize) {
  const Tensor x = counting({2, 2});
  EXPECT_THAT(run(Concat{1}, {x, Tensor({2, 1}, {8, 9})}), ElementsAre(1, 2, 8, 3, 4, 9));
  EXPECT_THAT(run(Concat{0}, {x, x}), ElementsAre(1, 2, 3, 4, 1, 2, 3, 4));
  EXPECT_THAT(run(Slice{{1, 3}, {1, -2}, {1, 2}}, {counting({2, 4})}), ElementsAre(8, 6));
  EXPECT_THAT(run(Transpose{{1, 0}}, {counting({2, 3})}), ElementsAre(1, 4, 2, 5, 3, 6));
  EXPECT_THAT(run(Transpose{{2, 0, 1}}, {counting({2, 1, 2})}), ElementsAre(1, 3, 2, 4));
  EXPECT_EQ(evaluate(Reshape{{4}}, {x}).shape, Shape{4});
  EXPECT_THAT(run(Resize{{0, 1, 1}, {1}}, {counting({1, 1, 2, 2})}), ElementsAre(2, 4, 4));
  EXPECT_THAT(run(Copy{}, {x}), ElementsAre(1, 2, 3, 4));
}

TEST(EvaluatePad, AllModesAndCropping) {
  const Tensor x({4}, {1, 2, 3, 4});
  EXPECT_THAT(run(Pad{Pad::Mode::constant, {2}, {1}, 9}, {x}), ElementsAre(9, 9, 1, 2, 3, 4, 9));
  EXPECT_THAT(run(Pad{Pad::Mode::edge, {2}, {1}, 9}, {x}), ElementsAre(1, 1, 1, 2, 3, 4, 4));
  EXPECT_THAT(run(Pad{Pad::Mode::reflect, {3}, {2}, 9}, {x}),
              ElementsAre(4, 3, 2, 1, 2, 3, 4, 3, 2));
  EXPECT_THAT(run(Pad{Pad::Mode::constant, {-1}, {-2}, 9}, {x}), ElementsAre(2));
  EXPECT_THAT(run(Pad{Pad::Mode::constant, {-1}, {1}, 9}, {x}), ElementsAre(2, 3, 4, 9));
  EXPECT_THAT(run(Pad{Pad::Mode::constant, {1, 0}, {0, 1}, 0}, {counting({1, 2})}),
              ElementsAre(0, 0, 0, 1, 2, 0));
}

TEST(EvaluatePool, ClipsWindowsAndCountsTaps) {
  const Tensor x = counting({1, 1, 3, 3});
  Pool pool{.kind = Pool::Kind::max, .kernel = {2, 2}, .stride = {2, 2}, .out = {2, 2}};
  EXPECT_THAT(run(pool, {x}), ElementsAre(5, 6, 8, 9));  // the last windows hang over the edge
  pool.kind = Pool::Kind::average;
  EXPECT_THAT(run(pool, {x}), ElementsAre(3, 4.5, 7.5, 9));
  pool.pad = {1, 1, 0, 0};
  EXPECT_THAT(run(pool, {x}), ElementsAre(1, 2.5, 5.5, 7));
  pool.count_include_pad = true;
  EXPECT_THAT(run(pool, {x}), ElementsAre(0.25, 1.25, 2.75, 7));
  pool.stride = {3, 3};  // windows beyond the padding count only what is in it
  EXPECT_THAT(run(pool, {x}), ElementsAre(0.25, 1.5, 3.5, 9));
}

TEST(EvaluatePool, MaximumOfNegativesIgnoresPadding) {
  const Pool pool{.kind = Pool::Kind::max,
                  .kernel = {1, 3},
                  .dilation = {1, 2},
                  .pad = {0, 2, 0, 2},
                  .out = {1, 3}};
  EXPECT_THAT(run(pool, {Tensor({1, 1, 1, 3}, {-3, -2, -5})}), ElementsAre(-3, -2, -3));
}

TEST(EvaluateReductions, MeanAndSoftmax) {
  const Tensor x = counting({2, 3});
  EXPECT_THAT(run(ReduceMean{{1}, true}, {x}), ElementsAre(2, 5));
  EXPECT_THAT(run(ReduceMean{{0}, false}, {x}), ElementsAre(2.5, 3.5, 4.5));
  EXPECT_THAT(run(ReduceMean{{0, 1}, false}, {x}), ElementsAre(3.5));
  const float low = static_cast<float>(1 / (1 + std::exp(3.0)));
  EXPECT_THAT(
      run(Softmax{0}, {x}),
      Pointwise(FloatNear(1e-6f), std::vector<float>{low, low, low, 1 - low, 1 - low, 1 - low}));
  EXPECT_THAT(run(Softmax{0}, {Tensor({2}, {1000, 1000})}), ElementsAre(0.5, 0.5));
}

TEST(EvaluateNetwork, GivesOutputsInOrder) {
  Network network;
  const ValueId a = network.add_value("a", {2}), b = network.add_value("b", {2});
  network.inputs = {a, b};
  const ValueId difference = network.add_layer("difference", Binary{Binary::Kind::sub, {}}, {a, b});
  const ValueId square =
      network.add_layer("square", Binary{Binary::Kind::mul, {}}, {difference, difference});
  network.outputs = {square, b, difference};
  const auto outputs = evaluate(network, {Tensor({2}, {1, 5}), Tensor({2}, {3, 4})});
  ASSERT_TRUE(outputs.ok());
  EXPECT_THAT((*outputs)[0].data, ElementsAre(4, 1));
  EXPECT_THAT((*outputs)[1].data, ElementsAre(3, 4));
  EXPECT_THAT((*outputs)[2].data, ElementsAre(-2, 1));
}

TEST(EvaluateNetwork, AllValuesAgreeWithTheOutputs) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const Network network = random_network(seed);
    const std::vector<Tensor> inputs = random_inputs(network, seed);
    const auto all = evaluate_all(network, inputs);
    const auto outputs = evaluate(network, inputs);
    ASSERT_TRUE(all.ok() && outputs.ok());
    for (size_t id = 0; id < all->size(); ++id) EXPECT_EQ((*all)[id].shape, network.shape(id));
    for (size_t i = 0; i < outputs->size(); ++i) {
      EXPECT_THAT((*outputs)[i].data, ElementsAreArray((*all)[network.outputs[i]].data));
    }
  }
}

TEST(EvaluateNetwork, RefusesWrongInputs) {
  Network network;
  network.inputs = {network.add_value("x", {1, 2})};
  network.outputs = {
      network.add_layer("dense", Dense{abstract_constant({3, 2}), nullptr, {}}, {0})};
  const auto refusal = [&](const std::vector<Tensor>& inputs) {
    const auto outputs = evaluate(network, inputs);
    return outputs.ok() ? "" : outputs.error().message;
  };
  EXPECT_THAT(refusal({}), HasSubstr("1 inputs, 0 are given"));
  EXPECT_THAT(refusal({Tensor({2, 1})}), HasSubstr("input x has shape 2x1, the network takes 1x2"));
  EXPECT_THAT(refusal({Tensor({1, 2})}), HasSubstr("layer dense: its constants have no values"));
}

}  // namespace
}  // namespace emulsion
