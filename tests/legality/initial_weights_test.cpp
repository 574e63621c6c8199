#include "legality/initial_weights.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "tiny_resnet.h"

namespace emulsion {
namespace {

TEST(InitialWeights, AreHeNormalWithFanIn) {
  testing::TinyResnet net = testing::tiny_resnet({"full", {}}, 4, 64);
  const TrainingNetwork& training = net.training;
  for (int layer = 0; layer < static_cast<int>(training.draws.size()); ++layer) {
    const auto* conv = std::get_if<Conv>(&training.network.layers[layer].op);
    if (!conv || element_count(conv->weight->shape) < 10000) continue;
    const std::vector<float> w = initial_weights(training, layer, 1);
    const double fan_in = static_cast<double>(element_count(conv->weight->shape)) /
                          static_cast<double>(conv->weight->shape[0]);
    double sum = 0, squares = 0, fourth = 0;
    for (const double v : w) {
      sum += v;
      squares += v * v;
      fourth += v * v * v * v;
    }
    const double n = static_cast<double>(w.size()), variance = squares / n;
    EXPECT_NEAR(variance * fan_in / 2, 1, 6 * std::sqrt(2 / n));
    EXPECT_NEAR(sum / n / std::sqrt(variance), 0, 5 / std::sqrt(n));
    EXPECT_NEAR(fourth / n / (variance * variance), 3, 6 * std::sqrt(24 / n));
  }
}

TEST(InitialWeights, OfTheClassifierAreUniformWithinOneOverRootFanIn) {
  const testing::TinyResnet net = testing::tiny_resnet({"full", {}}, 4, 64, 8, 100);
  const std::vector<float> w = initial_weights(net.training, net.training.classifier, 1);
  const float bound = 1 / std::sqrt(128.0f);
  double squares = 0;
  for (const float v : w) {
    EXPECT_LE(std::abs(v), bound);
    squares += double(v) * v;
  }
  EXPECT_NEAR(squares / static_cast<double>(w.size()) * 3 * 128, 1, 0.03);
}

TEST(InitialWeights, DependOnSeedAndKeyOnly) {
  testing::TinyResnet net = testing::tiny_resnet({"full", {}});
  const auto first = initial_weights(net.training, 0, 1);
  EXPECT_EQ(first, initial_weights(net.training, 0, 1));
  EXPECT_NE(first, initial_weights(net.training, 0, 2));
  net.training.draws[0] = "another";
  EXPECT_NE(first, initial_weights(net.training, 0, 1));
}

TEST(InitialWeights, QuantileMatchesTheNormalDistribution) {
  for (const double z : {-5.0, -3.0, -1.0, -0.1, 0.0, 0.5, 1.0, 2.0, 4.0}) {
    const double u = std::erf(z / std::sqrt(2.0));
    EXPECT_NEAR(normal_quantile(static_cast<float>(u)), z, std::abs(z) < 4 ? 2e-4 : 0.2);
  }
}

// A conv whose weights are f of uniform draws in (-1, 1).
Network conv_of(float (*f)(float)) {
  Network network;
  network.inputs = {network.add_value("x", {1, 32, 4, 4})};
  Tensor weight({64, 32, 3, 3});
  const RandomStream random(1);
  for (size_t i = 0; i < weight.data.size(); ++i) {
    weight.data[i] = f(static_cast<float>(random.uniform(i, -0.999, 0.999)));
  }
  Conv conv;
  conv.weight = std::make_shared<Tensor>(std::move(weight));
  network.outputs = {network.add_layer("conv", conv, network.inputs)};
  return network;
}

TEST(LooksUntrained, TellsDrawnWeightsFromOthers) {
  EXPECT_TRUE(looks_untrained(conv_of([](float u) { return 0.3f * u; })));
  EXPECT_TRUE(looks_untrained(conv_of(normal_quantile)));
  EXPECT_FALSE(looks_untrained(conv_of([](float u) { return u * u * u; })));
  EXPECT_FALSE(looks_untrained(conv_of([](float u) { return std::sqrt(std::abs(u)); })));
}

}  // namespace
}  // namespace emulsion
