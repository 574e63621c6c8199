// Rewrites of chains of convs: what is offered, and that the inherited weights are the best of
// their form; slots; and whole networks rewritten.
#include "nest/rewrite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <Eigen/SVD>
#include <algorithm>

#include "network/evaluate.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

Steps steps(const std::string& text) {
  const Result<Steps> parsed = parse_steps(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *parsed;
}

Network made(const Conv& conv, const Shape& input, const Steps& rewrite) {
  Result<Replacement> result = replacement(conv, input, rewrite);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return std::move(result)->network;
}

// The convs of a rewrite that leaves a chain of them.
std::vector<Conv> parts_of(const Conv& conv, const Shape& input, const Steps& rewrite) {
  std::vector<Conv> convs;
  for (const Layer& layer : made(conv, input, rewrite).layers) {
    convs.push_back(std::get<Conv>(layer.op));
  }
  return convs;
}

Tensor run(const std::vector<Conv>& convs, Tensor x, const Tensor* residual = nullptr) {
  for (const Conv& conv : convs) {
    std::vector<Tensor> inputs{x};
    if (conv.epilogue.residual) inputs.push_back(*residual);
    x = evaluate(Op(conv), inputs);
  }
  return x;
}

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape, b.shape);
  double largest = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.data[i]) - b.data[i]));
  }
  return largest;
}

TEST(Rewrite, OffersEveryRewriteThatSavesWork) {
  const auto offered = [](const Conv& conv, int64_t ci) {
    std::vector<std::string> texts;
    for (const Steps& rewrite : rewrites_of(conv, {1, ci, 6, 6})) texts.push_back(to_text(rewrite));
    return texts;
  };
  const char* spatial = "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2";
  EXPECT_THAT(offered(seeded_conv(16, 16, 3), 16),
              ElementsAre("group 2", "group 4", "group 8", "bottleneck co 2", "bottleneck co 4",
                          "bottleneck co 8", "bottleneck co 2 tiled", "bottleneck co 4 tiled",
                          "bottleneck ci 2", "bottleneck ci 4", spatial,
                          "split co 2; group[0] 2; group[1] 4",
                          "split co 2; group[0] 4; group[1] 8", "unroll co 4; group[1] 2",
                          "unroll co 4; group[1] 4", "split y 2; group[0] 2; group[1] 2",
                          "split y 2; group[0] 2; group[1] 4", "separable", "depthwise"));
  // A bottleneck of a 1x1 conv from few to many channels costs more than the conv.
  EXPECT_THAT(offered(seeded_conv(4, 16, 1), 4),
              ElementsAre("group 2", "bottleneck co 8", "bottleneck co 2 tiled",
                          "bottleneck co 4 tiled", "bottleneck ci 2", "bottleneck ci 4", spatial,
                          "split co 2; group[0] 2; group[1] 4", "split y 2; group[0] 2; group[1] 2",
                          "split y 2; group[0] 2; group[1] 4", "depthwise"));
  EXPECT_THAT(offered(seeded_conv(8, 8, 3, 8), 8), ElementsAre());
}

TEST(Rewrite, AGroupedConvIsTheFullOneWithTheWeightsBetweenGroupsZero) {
  for (const int old_groups : {1, 2}) {
    for (const char* rewrite : {"group 2", "group 4", "depthwise"}) {
      const Conv conv = seeded_conv(8, 16, 3, old_groups, true);
      const auto parts = parts_of(conv, {1, 8, 5, 5}, steps(rewrite));
      const int64_t groups = parts[0].groups;
      // The definition: of a full weight, keep o, i when both lie in the same group.
      Tensor full({16, 8, 3, 3});
      for (int64_t o = 0; o < 16; ++o) {
        for (int64_t i = 0; i < 8; ++i) {
          if (o / (16 / groups) != i / (8 / groups)) continue;
          const int64_t old_ci = 8 / old_groups;
          for (int64_t t = 0; t < 9; ++t) {
            full.data[(o * 8 + i) * 9 + t] = conv.weight->data[(o * old_ci + i % old_ci) * 9 + t];
          }
        }
      }
      Conv definition = conv;
      definition.groups = 1;
      definition.weight = std::make_shared<Tensor>(full);
      const Tensor x = seeded_tensor({1, 8, 5, 5}, 7);
      EXPECT_LT(largest_difference(run(parts, x), run({definition}, x)), 1e-5) << rewrite;
    }
  }
}

TEST(Rewrite, GroupsOfABlockDiagonalWeightAreExact) {
  for (const int groups : {2, 4, 8}) {
    const Conv grouped = seeded_conv(8, 16, 3, groups, true);
    Tensor full({16, 8, 3, 3});
    for (int64_t o = 0; o < 16; ++o) {
      for (int64_t i = 0; i < 8 / groups; ++i) {
        for (int64_t t = 0; t < 9; ++t) {
          const int64_t column = o / (16 / groups) * (8 / groups) + i;
          full.data[(o * 8 + column) * 9 + t] =
              grouped.weight->data[(o * (8 / groups) + i) * 9 + t];
        }
      }
    }
    Conv conv = grouped;
    conv.groups = 1;
    conv.weight = std::make_shared<Tensor>(full);
    const Tensor x = seeded_tensor({1, 8, 5, 5}, 3);
    const auto parts = parts_of(conv, x.shape, steps(fmt::format("group {}", groups)));
    EXPECT_EQ(parts[0].weight->data, grouped.weight->data);
    EXPECT_EQ(run(parts, x).data, run({conv}, x).data);
  }
}

// The weight of a bottleneck as one matrix [co, ci k k].
Eigen::MatrixXd product(const std::vector<Conv>& parts) {
  const auto matrix = [](const Tensor& t) {
    const int64_t rows = t.shape[0], columns = element_count(t.shape) / rows;
    Eigen::MatrixXd m(rows, columns);
    for (int64_t i = 0; i < rows * columns; ++i) m(i / columns, i % columns) = t.data[i];
    return m;
  };
  Eigen::MatrixXd result = matrix(*parts[0].weight);
  for (size_t i = 1; i < parts.size(); ++i) result = matrix(*parts[i].weight) * result;
  return result;
}

TEST(Rewrite, ABottleneckIsTheBestApproximationOfItsRank) {
  struct Row {
    int64_t ci, co;
    int kernel;
  };
  for (const Row& row : {Row{4, 8, 3}, Row{2, 32, 1}, Row{3, 8, 1}, Row{8, 8, 1}}) {
    for (const int b : {2, 4, 8}) {
      const Conv conv = seeded_conv(row.ci, row.co, row.kernel, 1, true);
      const auto parts =
          parts_of(conv, {1, row.ci, 5, 5}, steps(fmt::format("bottleneck co {}", b)));
      const Eigen::MatrixXd w = product({conv});
      const Eigen::VectorXd s = Eigen::JacobiSVD<Eigen::MatrixXd>(w).singularValues();
      const int64_t kept = std::min<int64_t>(row.co / b, s.size());
      const double error = (product(parts) - w).norm();
      EXPECT_NEAR(error, s.tail(s.size() - kept).norm(), 1e-5);
      // Both factors carry the same share of each singular value.
      const Tensor x = seeded_tensor({1, row.ci, 5, 5}, 3);
      EXPECT_EQ(run(parts, x).shape, run({conv}, x).shape);
      EXPECT_NEAR(product({parts[0]}).norm(), product({parts[1]}).norm(), 1e-4);
    }
  }
}

TEST(Rewrite, ABottleneckOfALowRankWeightIsExact) {
  for (const int groups : {1, 2}) {
    const auto low_rank =
        parts_of(seeded_conv(8, 16, 3, groups), {1, 8, 5, 5}, steps("bottleneck co 4"));
    Conv conv = seeded_conv(8, 16, 3, groups, true);
    Tensor weight(conv.weight->shape);
    const int64_t columns = element_count(weight.shape) / 16;
    const Eigen::MatrixXd matrix = product(low_rank);
    for (int64_t i = 0; i < 16 * columns; ++i) {
      weight.data[i] = static_cast<float>(matrix(i / columns, i % columns));
    }
    conv.weight = std::make_shared<Tensor>(weight);
    conv.stride = {2, 1};
    conv.epilogue.residual = true;
    conv.epilogue.activation = Activation{};
    const Tensor x = seeded_tensor({2, 8, 5, 5}, 3), residual = seeded_tensor({2, 16, 3, 5}, 4);
    for (const char* rewrite : {"bottleneck co 4", "bottleneck co 2"}) {
      const auto parts = parts_of(conv, x.shape, steps(rewrite));
      ASSERT_EQ(parts.size(), 2u);
      EXPECT_LT(largest_difference(run(parts, x, &residual), run({conv}, x, &residual)), 1e-5);
    }
  }
}

TEST(Rewrite, AZeroWeightGivesAZeroBottleneck) {
  Conv conv = seeded_conv(4, 8, 3);
  conv.weight = constant({8, 4, 3, 3}, std::vector<float>(8 * 4 * 9, 0.0f));
  for (const Conv& part : parts_of(conv, {1, 4, 5, 5}, steps("bottleneck co 2"))) {
    for (const float w : part.weight->data) EXPECT_EQ(w, 0.0f);
  }
}

TEST(Rewrite, ThePrologueStaysInFrontAndTheEpilogueBehind) {
  Conv conv = seeded_conv(8, 8, 3, 1, true);
  conv.prologue = {seeded_constant({8}, 1), seeded_constant({8}, 2), Activation{}};
  conv.epilogue = {true, Activation{}};
  const auto parts = parts_of(conv, {1, 8, 5, 5}, steps("bottleneck co 2"));
  EXPECT_EQ(parts[0].prologue.scale, conv.prologue.scale);
  EXPECT_TRUE(parts[0].epilogue.empty());
  EXPECT_EQ(parts[0].bias, nullptr);
  EXPECT_TRUE(parts[1].prologue.empty());
  EXPECT_TRUE(parts[1].epilogue.residual);
  EXPECT_TRUE(parts[1].epilogue.activation.has_value());
  EXPECT_EQ(parts[1].bias, conv.bias);
}

TEST(Slots, AreWhatIsNotExcluded) {
  struct Row {
    Network network;
    std::map<std::string, std::string> excluded;  // layer: reason
  };
  const std::string stem = "it reads the network's input",
                    shortcut = "it is a shortcut beside another conv",
                    pixel = "its output has one pixel", none = "no rewrite makes it cheaper";
  const Row rows[] = {
      {tiny_plain(), {{"stem", stem}}},
      {tiny_residual(), {{"stem", stem}, {"block1.shortcut", shortcut}}},
      {tiny_bottleneck(), {{"stem", stem}, {"shortcut", shortcut}}},
      {tiny_dense(), {{"stem", stem}}},
      {tiny_separable(), {{"stem", stem}, {"depthwise", none}}},
      {tiny_folded(), {{"stem", stem}, {"gate1", pixel}, {"gate2", pixel}}},
  };
  for (const Row& row : rows) {
    std::map<std::string, std::string> excluded;
    std::vector<int> expected;
    const std::vector<int> convs = conv_layers(row.network);
    for (size_t i = 0; i < convs.size(); ++i) {
      const std::string why = slot_exclusion(row.network, convs[i]);
      if (!why.empty()) excluded[row.network.layers[convs[i]].name] = why;
      if (why.empty()) expected.push_back(static_cast<int>(i));
    }
    EXPECT_EQ(excluded, row.excluded) << row.network.name;
    EXPECT_EQ(slots(row.network), expected) << row.network.name;
  }
}

TEST(Slots, AShortcutWhoseAddIsInAnEpilogueIsAShortcut) {
  for (const bool add_in_shortcut : {false, true}) {
    Network n;
    n.inputs = {n.add_value("input", {1, 3, 6, 6})};
    const ValueId x = n.add_layer("stem", seeded_conv(3, 8, 3), {n.inputs[0]});
    const ValueId pooled = n.add_layer("pool", Activation{}, {x});
    Conv last = seeded_conv(8, 8, 3), shortcut = seeded_conv(8, 8, 1);
    const ValueId y = n.add_layer("conv1", seeded_conv(8, 8, 3), {pooled});
    if (add_in_shortcut) {
      shortcut.epilogue.residual = true;
      const ValueId main = n.add_layer("conv2", last, {y});
      n.outputs = {n.add_layer("shortcut", shortcut, {pooled, main})};
    } else {
      last.epilogue.residual = true;
      const ValueId side = n.add_layer("shortcut", shortcut, {pooled});
      n.outputs = {n.add_layer("conv2", last, {y, side})};
    }
    EXPECT_EQ(slots(n), add_in_shortcut ? (std::vector{1, 2}) : (std::vector{1, 3}));
  }
}

TEST(Slots, AConvThatReadsANormalisedInputIsAStem) {
  Network n;
  n.inputs = {n.add_value("input", {1, 4, 6, 6})};
  const ValueId mean = n.add_layer("mean", Literal{seeded_constant({1, 4, 1, 1}, 1)}, {});
  const ValueId x = n.add_layer("normalise", Binary{Binary::Kind::sub}, {n.inputs[0], mean});
  n.outputs = {n.add_layer("conv", seeded_conv(4, 8, 3), {x})};
  EXPECT_EQ(slot_exclusion(n, conv_layers(n)[0]), "it reads the network's input");
}

TEST(ApplyRewrites, OnEveryTinyNetworkEveryRewriteOfEverySlotKeepsShapesAndNames) {
  for (const Network& network : tiny_networks()) {
    const std::vector<int> convs = conv_layers(network);
    for (const int slot : slots(network)) {
      const Layer& layer = network.layers[convs[slot]];
      for (const Steps& rewrite :
           rewrites_of(std::get<Conv>(layer.op), network.shape(layer.inputs[0]))) {
        const auto result = apply_rewrites(network, {{slot, rewrite}});
        ASSERT_TRUE(result.ok());
        const Status valid = verify(*result);
        ASSERT_TRUE(valid.ok()) << valid.error().message;
        EXPECT_LT(multiplies(*result), multiplies(network));
        ASSERT_EQ(result->outputs.size(), network.outputs.size());
        EXPECT_EQ(result->values[result->outputs[0]].name, network.values[network.outputs[0]].name);
        EXPECT_EQ(result->shape(result->outputs[0]), network.shape(network.outputs[0]));
        const auto outputs = evaluate(*result, {seeded_tensor({1, 3, 6, 6}, 9)});
        ASSERT_TRUE(outputs.ok());
        for (const float y : (*outputs)[0].data) EXPECT_TRUE(std::isfinite(y));
      }
    }
  }
}

TEST(ApplyRewrites, ManyAtOnceAreThoseOneByOne) {
  const Network network = tiny_residual();
  const std::map<int, Steps> rewrites{
      {1, steps("bottleneck co 2")}, {2, steps("group 4")}, {5, steps("depthwise")}};
  const Network all = *apply_rewrites(network, rewrites);
  // From the back, so that positions stay what they were.
  Network one = network;
  for (auto it = rewrites.rbegin(); it != rewrites.rend(); ++it) one = *apply_rewrites(one, {*it});
  EXPECT_EQ(to_text(all), to_text(one));
  const Tensor x = seeded_tensor({1, 3, 6, 6}, 9);
  EXPECT_EQ((*evaluate(all, {x}))[0].data, (*evaluate(one, {x}))[0].data);
}

TEST(ApplyRewrites, NothingToRewriteChangesNothing) {
  for (const Network& network : tiny_networks()) {
    EXPECT_EQ(to_text(*apply_rewrites(network, {})), to_text(network));
  }
}

TEST(ApplyRewrites, RefusesAConvThatIsNotThereAndNamesTheOneThatDoesNotTakeIt) {
  const Network network = tiny_plain();
  EXPECT_THAT(apply_rewrites(network, {{3, steps("group 2")}}).error().message,
              HasSubstr("no conv 3 to rewrite: plain has convs 0 to 2"));
  EXPECT_THAT(apply_rewrites(network, {{1, steps("group 3")}}).error().message,
              HasSubstr("conv conv1"));
}

}  // namespace
}  // namespace emulsion
