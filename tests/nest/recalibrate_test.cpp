// Batch norms after rewriting: statistics from data, and norms put back where they were folded
// away.
#include "nest/recalibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "nest/rewrite.h"
#include "network/evaluate.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

Steps steps(const std::string& text) {
  return *parse_steps(text);
}

Tensor image(const Tensor& images, int64_t index) {
  Shape shape = images.shape;
  shape[0] = 1;
  const int64_t size = element_count(shape);
  const float* first = images.data.data() + index * size;
  return Tensor(shape, std::vector<float>(first, first + size));
}

ValueId named(const Network& network, const std::string& name) {
  for (size_t id = 0; id < network.values.size(); ++id) {
    if (network.values[id].name == name) return static_cast<ValueId>(id);
  }
  return -1;
}

struct Statistics {
  std::vector<double> mean, variance;
};

// The definition, of a value over images run one by one.
Statistics statistics(const Network& network, const std::string& name, const Tensor& images) {
  const ValueId id = named(network, name);
  EXPECT_GE(id, 0) << name;
  const Shape& shape = network.shape(id);
  const int64_t inner = element_count(shape) / shape[1];
  std::vector<std::vector<double>> channels(shape[1]);
  for (int64_t n = 0; n < images.shape[0]; ++n) {
    const Tensor value = (*evaluate_all(network, {image(images, n)}))[id];
    for (int64_t i = 0; i < element_count(shape); ++i) channels[i / inner].push_back(value.data[i]);
  }
  Statistics result;
  for (const auto& channel : channels) {
    double mean = 0, variance = 0;
    for (const double x : channel) mean += x / channel.size();
    for (const double x : channel) variance += (x - mean) * (x - mean) / channel.size();
    result.mean.push_back(mean);
    result.variance.push_back(variance);
  }
  return result;
}

TEST(Recalibrate, EveryNormBehindARewrittenConvHasTheStatisticsOfItsInput) {
  const Tensor images = seeded_tensor({5, 3, 6, 6}, 21);
  for (const Network& network : {tiny_plain(), tiny_residual(), tiny_dense(), tiny_separable()}) {
    const int slot = slots(network)[0];
    const auto result = rewrite_on_data(network, {{slot, steps("group 2")}}, images);
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_TRUE(verify(result->network).ok());
    const int rewritten = conv_layers(result->network)[slot];
    int behind = 0;
    for (int i = 0; i < static_cast<int>(result->network.layers.size()); ++i) {
      const Layer& layer = result->network.layers[i];
      const auto* norm = std::get_if<BatchNorm>(&layer.op);
      if (!norm) continue;
      const auto& original = std::get<BatchNorm>(network.layers[i].op);  // group keeps the layers
      if (i < rewritten) {
        EXPECT_EQ(norm->mean, original.mean);
        continue;
      }
      EXPECT_EQ(norm->scale, original.scale);
      EXPECT_EQ(norm->shift, original.shift);
      if (norm->mean == original.mean) continue;  // beside the rewritten conv, not behind it
      ++behind;
      const auto expected =
          statistics(result->network, result->network.values[layer.inputs[0]].name, images);
      for (size_t c = 0; c < expected.mean.size(); ++c) {
        EXPECT_NEAR(norm->mean->data[c], expected.mean[c], 1e-4) << layer.name;
        EXPECT_NEAR(norm->variance->data[c], expected.variance[c],
                    1e-4 * (1 + expected.variance[c]));
      }
    }
    EXPECT_EQ(behind, result->renewed) << network.name;
    EXPECT_GT(behind, 0);
  }
}

TEST(Recalibrate, ANormBesideTheRewrittenConvKeepsItsStatistics) {
  const Network network = tiny_residual();
  const auto result =
      rewrite_on_data(network, {{1, steps("group 2")}}, seeded_tensor({4, 3, 6, 6}, 2));
  ASSERT_TRUE(result.ok());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    if (network.layers[i].name != "block1.n3") continue;  // of the shortcut
    EXPECT_EQ(std::get<BatchNorm>(result->network.layers[i].op).mean,
              std::get<BatchNorm>(network.layers[i].op).mean);
  }
}

TEST(Recalibrate, WhereTheNormWasFoldedTheOutputKeepsEachChannelsMeanAndVariance) {
  const Network network = tiny_folded();
  const Tensor images = seeded_tensor({6, 3, 6, 6}, 5);
  // conv1 meets a gate before any norm; conv2 is the network's output.
  for (const auto& [slot, value] : {std::pair{1, "conv1"}, std::pair{4, "output"}}) {
    for (const char* rewrite : {"group 4", "bottleneck co 4", "depthwise"}) {
      const auto result = rewrite_on_data(network, {{slot, steps(rewrite)}}, images);
      ASSERT_TRUE(result.ok()) << result.error().message;
      EXPECT_TRUE(verify(result->network).ok());
      EXPECT_EQ(result->inserted, 1);
      EXPECT_EQ(result->renewed, 0);
      const Statistics before = statistics(network, value, images);
      const Statistics after = statistics(result->network, value, images);
      for (size_t c = 0; c < before.mean.size(); ++c) {
        EXPECT_NEAR(after.mean[c], before.mean[c], 1e-4) << rewrite;
        EXPECT_NEAR(after.variance[c], before.variance[c], 1e-4 * (1 + before.variance[c]))
            << rewrite;
      }
      EXPECT_EQ(result->network.values[result->network.outputs[0]].name, "output");
    }
  }
}

TEST(Recalibrate, APropagatedBottlenecksConsumerKeepsItsStatisticsWhereNormsAreFolded) {
  const Network network = tiny_folded();
  const Tensor images = seeded_tensor({6, 3, 6, 6}, 5);
  const auto result = rewrite_on_data(network, {{0, steps("bottleneck co 2 propagated")}}, images);
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_TRUE(verify(result->network).ok());
  EXPECT_EQ(result->inserted, 1);  // behind conv1, none behind the narrower stem
  const Statistics before = statistics(network, "conv1", images);
  const Statistics after = statistics(result->network, "conv1", images);
  for (size_t c = 0; c < before.mean.size(); ++c) {
    EXPECT_NEAR(after.mean[c], before.mean[c], 1e-4);
    EXPECT_NEAR(after.variance[c], before.variance[c], 1e-4 * (1 + before.variance[c]));
  }
}

TEST(Recalibrate, AnExactRewriteKeepsTheFunctionOfAFoldedNetwork) {
  Network network = tiny_folded();
  const int layer = conv_layers(network)[1];
  Conv& conv = std::get<Conv>(network.layers[layer].op);
  // Rank one: a bottleneck to one channel is exact.
  Tensor weight(conv.weight->shape);
  for (int64_t o = 0; o < 8; ++o) {
    for (int64_t i = 0; i < 72; ++i) {
      weight.data[o * 72 + i] = (0.1f * static_cast<float>(o) - 0.3f) * (*conv.weight).data[i];
    }
  }
  conv.weight = std::make_shared<Tensor>(weight);
  const Tensor images = seeded_tensor({6, 3, 6, 6}, 5);
  const auto result = rewrite_on_data(network, {{1, steps("bottleneck co 8")}}, images);
  ASSERT_TRUE(result.ok());
  for (int64_t n = 0; n < 6; ++n) {
    const Tensor before = (*evaluate(network, {image(images, n)}))[0];
    const Tensor after = (*evaluate(result->network, {image(images, n)}))[0];
    for (size_t i = 0; i < before.data.size(); ++i)
      EXPECT_NEAR(after.data[i], before.data[i], 2e-4);
  }
}

TEST(Recalibrate, NoRewriteChangesNothing) {
  const Network network = tiny_plain();
  const auto result = rewrite_on_data(network, {}, seeded_tensor({2, 3, 6, 6}, 2));
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->renewed + result->inserted, 0);
  const Tensor x = seeded_tensor({1, 3, 6, 6}, 3);
  EXPECT_EQ((*evaluate(result->network, {x}))[0].data, (*evaluate(network, {x}))[0].data);
}

TEST(Recalibrate, RefusesImagesThatDoNotFit) {
  Tensor bad = seeded_tensor({2, 3, 6, 6}, 2);
  bad.data[7] = std::nanf("");
  struct Row {
    Tensor images;
    const char* message;
  };
  const Row rows[] = {
      {seeded_tensor({2, 3, 6, 5}, 1), "shape 2x3x6x5, the network's input 1x3x6x6"},
      {seeded_tensor({3, 6, 6}, 1), "shape 3x6x6"},
      {seeded_tensor({1, 3, 6, 6}, 1), "2 images at least"},
      {bad, "NaN"},
  };
  for (const Row& row : rows) {
    const auto result = rewrite_on_data(tiny_plain(), {}, row.images);
    ASSERT_FALSE(result.ok());
    EXPECT_THAT(result.error().message, HasSubstr(row.message));
  }
}

}  // namespace
}  // namespace emulsion
