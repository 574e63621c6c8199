// Properties of the score that need no oracle: finite differences of the loss, and invariances.
#include <gtest/gtest.h>

#include "closed_form.h"

namespace emulsion {
namespace {

using testing::Spec;
using testing::TinyResnet;

FisherScore score_of(const TinyResnet& net, double weight_scale = 1) {
  PlainEngine<double> engine;
  auto score = fisher_score<double>(
      net.training, testing::closed_form_images<double>(), testing::vector_labels(),
      testing::closed_form_weights<double>(net, weight_scale), engine);
  EMULSION_CHECK(score.ok());
  return *score;
}

// d loss / d a at a = 0 when a slot's sample n, channel c is scaled by 1 + a.
double slope(const TinyResnet& net, ValueId value, int64_t n, int64_t c) {
  PlainEngine<double> engine;
  const auto images = testing::closed_form_images<double>();
  const auto loss = [&](double a) {
    const auto edit = [&](ValueId id, Array<double>& array) {
      if (id != value) return;
      const int64_t channels = array.shape[1], pixels = array.shape[2] * array.shape[3];
      for (int64_t p = 0; p < pixels; ++p) array.data[(n * pixels + p) * channels + c] *= 1 + a;
    };
    return *training_loss<double>(net.training, images, testing::vector_labels(),
                                  testing::closed_form_weights<double>(net), engine, edit);
  };
  const double h = 1e-5;
  return (loss(h) - loss(-h)) / (2 * h);
}

TEST(FisherGradient, EqualsFiniteDifferencesOfTheLoss) {
  for (const Spec& spec : {Spec{"full", {}}, Spec{"OB", {2}}, Spec{"S2", {4, 2}}}) {
    SCOPED_TRACE(spec.name);
    const TinyResnet net = testing::tiny_resnet(spec);
    const FisherScore score = score_of(net);
    for (size_t slot = 0; slot < 4; ++slot) {
      const ValueId value = net.training.slot_values[slot];
      double sum = 0;
      for (int64_t n = 0; n < 4; ++n)
        for (int64_t c = 0; c < net.training.network.shape(value)[1]; ++c) {
          const double s = slope(net, value, n, c);
          sum += s * s;
        }
      EXPECT_NEAR(sum / 8 / score.slots[slot], 1, 1e-8);
    }
  }
}

TEST(FisherGradient, IsInvariantUnderScalingTheConvsWeights) {
  const TinyResnet net = testing::tiny_resnet({"full", {}});
  EXPECT_NEAR(score_of(net, 3.7).total / score_of(net).total, 1, 2e-4);
}

TEST(FisherGradient, IsInvariantUnderPermutingTheBatch) {
  const TinyResnet net = testing::tiny_resnet({"full", {}});
  const int order[] = {2, 0, 3, 1};
  const auto images = testing::closed_form_images<double>();
  Array<double> permuted(images.shape);
  std::vector<int> labels;
  const int64_t image = element_count(images.shape) / 4;
  for (int n = 0; n < 4; ++n) {
    std::copy_n(&images.data[order[n] * image], image, &permuted.data[n * image]);
    labels.push_back(testing::vector_labels()[order[n]]);
  }
  PlainEngine<double> engine;
  const auto score = fisher_score<double>(net.training, permuted, labels,
                                          testing::closed_form_weights<double>(net), engine);
  ASSERT_TRUE(score.ok());
  EXPECT_NEAR(score->total / score_of(net).total, 1, 1e-12);
}

// A network of one slot followed by an op under test, then pooled to logits.
struct OneOp {
  const char* name;
  std::vector<Op> ops;  // a chain on [3 6 6 6]
};

// Ops that the residual networks do not have: their gradients by finite differences too.
TEST(FisherGradient, EveryOpDifferentiatesAsItsFiniteDifferences) {
  Pool max_pool{Pool::Kind::max, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, false, {3, 3}};
  Pool average{Pool::Kind::average, {3, 2}, {2, 2}, {1, 1}, {1, 0, 1, 0}, true, {3, 3}};
  Pool clipped = average;
  clipped.count_include_pad = false;
  const Constant slopes = constant({6}, {0.1f, 0.2f, 0.3f, -0.1f, 0.5f, 0.25f});
  const Constant scale = constant({6}, {1.5f, -2.0f, 0.5f, 1.0f, 0.7f, 3.0f});
  Conv uneven;
  uneven.stride = {2, 1};
  uneven.dilation = {1, 2};
  uneven.pad = {0, 1, 2, 3};
  uneven.groups = 2;
  uneven.weight = abstract_constant({4, 3, 3, 2});
  Conv strided_pointwise;
  strided_pointwise.stride = {2, 3};
  strided_pointwise.pad = {1, 0, 0, 1};
  strided_pointwise.weight = abstract_constant({5, 6, 1, 1});
  const auto activation = [](Activation::Kind kind, float alpha = 0, float beta = 0) {
    return Activation{kind, alpha, beta, nullptr};
  };
  const std::vector<OneOp> cases = {
      {"max pool", {max_pool}},
      {"average pool with padding counted", {average}},
      {"average pool", {clipped}},
      {"uneven conv", {uneven}},
      {"strided pointwise conv", {strided_pointwise}},
      {"slice", {Slice{{0, 1, 5, 0}, {1, 2, -2, 1}, {3, 2, 3, 6}}}},
      {"pad and crop", {Pad{Pad::Mode::constant, {0, 1, -1, 2}, {0, 0, 1, -3}, 0.5f}}},
      {"transpose", {Transpose{{0, 2, 3, 1}}}},
      {"shuffle", {Reshape{{3, 2, 3, 6, 6}}, Transpose{{0, 2, 1, 3, 4}}, Reshape{{3, 6, 6, 6}}}},
      {"resize", {Resize{{0, 0, 1, 5, 5, 3}, {2, 1, 0}}}},
      {"affine", {Affine{scale, scale, {}}}},
      {"leaky relu", {activation(Activation::Kind::leaky_relu, 0.1f)}},
      {"prelu", {Activation{Activation::Kind::prelu, 0, 0, slopes}}},
      {"clip", {activation(Activation::Kind::clip, -0.5f, 0.7f)}},
      {"sigmoid", {activation(Activation::Kind::sigmoid)}},
      {"hard sigmoid", {activation(Activation::Kind::hard_sigmoid, 0.2f, 0.5f)}},
      {"hard swish", {activation(Activation::Kind::hard_swish)}},
      {"silu", {activation(Activation::Kind::silu)}},
      {"batch norm", {BatchNorm{scale, scale, scale, scale}}},
      {"mean of rows", {ReduceMean{{2}, true}}},
      {"layer norm", {Normalize{{1, 2, 3}, 1e-5f}}},
      {"group norm",
       {Reshape{{3, 2, 3, 6, 6}}, Normalize{{2, 3, 4}, 1e-5f}, Reshape{{3, 6, 6, 6}}}},
      {"gelu", {activation(Activation::Kind::gelu)}},
      {"gelu by tanh", {activation(Activation::Kind::gelu_tanh)}},
      {"mish", {activation(Activation::Kind::mish)}},
      {"elu", {activation(Activation::Kind::elu, 0.7f)}},
      {"softplus", {activation(Activation::Kind::softplus)}},
      {"tanh", {activation(Activation::Kind::tanh)}},
      {"erf", {activation(Activation::Kind::erf)}},
      {"exp", {activation(Activation::Kind::exp)}},
      {"abs", {activation(Activation::Kind::abs)}},
  };
  for (const OneOp& test : cases) {
    SCOPED_TRACE(test.name);
    TinyResnet net;
    Network& network = net.training.network;
    network.inputs = {network.add_value("x", {3, 3, 6, 6})};
    const auto add = [&](Op op, std::vector<ValueId> inputs) {
      const bool drawn = std::holds_alternative<Conv>(op) || std::holds_alternative<Dense>(op);
      net.weight_order.push_back(static_cast<int>(network.layers.size()));
      net.training.draws.push_back(drawn ? "drawn" : "");
      return network.add_layer("layer", std::move(op), std::move(inputs));
    };
    Conv first;
    first.pad = {1, 1, 1, 1};
    first.weight = abstract_constant({6, 3, 3, 3});
    const ValueId slot = add(first, {network.inputs[0]});
    ValueId x = add(test.ops[0], {slot});
    for (size_t i = 1; i < test.ops.size(); ++i) x = add(test.ops[i], {x});
    // A gate and a difference, so that products and broadcasts are differentiated as well.
    const ValueId gate = add(ReduceMean{{2, 3}, true}, {x});
    x = add(Binary{Binary::Kind::mul, {}}, {x, gate});
    x = add(Binary{Binary::Kind::sub, {}}, {gate, x});
    const int64_t features = element_count(network.shape(x)) / 3;
    x = add(Reshape{{3, features}}, {x});
    Dense dense;
    dense.weight = abstract_constant({3, features});
    network.outputs = {add(dense, {x})};
    net.training.slots = {0};
    net.training.slot_values = {slot};

    PlainEngine<double> engine;
    const auto images = testing::closed_form_images<double>(3, 6);
    const std::vector<int> labels = {0, 1, 2};
    const auto weights = testing::closed_form_weights<double>(net);
    const auto score = fisher_score<double>(net.training, images, labels, weights, engine);
    ASSERT_TRUE(score.ok()) << score.error().message;
    double sum = 0;
    for (int64_t n = 0; n < 3; ++n)
      for (int64_t c = 0; c < 6; ++c) {
        const auto loss = [&](double a) {
          return *training_loss<double>(net.training, images, labels, weights, engine,
                                        [&](ValueId id, Array<double>& array) {
                                          if (id != slot) return;
                                          for (int64_t p = 0; p < 36; ++p)
                                            array.data[(n * 36 + p) * 6 + c] *= 1 + a;
                                        });
        };
        const double s = (loss(1e-6) - loss(-1e-6)) / 2e-6;
        sum += s * s;
      }
    EXPECT_NEAR(sum / 6 / score->total, 1, 1e-6);
  }
}

}  // namespace
}  // namespace emulsion
