// A bottleneck that the layers after the conv take up: which networks refuse it, what it makes, and
// that it is the network whose next weights ignore the channels that are gone.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "nest/rewrite.h"
#include "network/evaluate.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

Steps steps(const std::string& text) {
  const Result<Steps> parsed = parse_steps(text);
  EXPECT_TRUE(parsed.ok()) << text;
  return *parsed;
}

std::string refused(const Network& network, int conv, const std::string& text) {
  const auto result = apply_rewrites(network, {{conv, steps(text)}});
  return result.ok() ? "accepted" : result.error().message;
}

TEST(PropagatedBottleneck, RefusesWithTheReason) {
  const char* half = "bottleneck co 2 propagated";
  EXPECT_THAT(refused(tiny_plain(), 1, "bottleneck co 3 propagated"),
              HasSubstr("conv conv1: step 'bottleneck co 3 propagated': 3 does not divide co's 8"));
  EXPECT_THAT(refused(tiny_plain(), 1, "bottleneck co 1 propagated"), HasSubstr("2 or more"));
  EXPECT_THAT(refused(tiny_plain(), 1, "group 2; bottleneck co 2 propagated"),
              HasSubstr("comes first"));
  EXPECT_THAT(refused(tiny_residual(), 2, half),
              HasSubstr("layer 'block1.add' (binary) needs all its channels"));
  EXPECT_THAT(refused(tiny_dense(), 2, half),
              HasSubstr("layer 'layer1.concat' (concat) needs all its channels"));
  EXPECT_THAT(refused(tiny_folded(), 4, half), HasSubstr("are an output of the network"));
  EXPECT_THAT(refused(tiny_bottleneck(), 2, half), HasSubstr("the conv has groups"));
  EXPECT_THAT(refused(tiny_bottleneck(), 1, half), HasSubstr("needs all its channels"));
}

// The weights that read channels which the narrowed conv no longer makes, set to zero.
Network with_zeroed_readers(const Network& network, int conv, int reader,
                            const std::vector<int64_t>& kept) {
  Network result = network;
  const std::vector<int> convs = conv_layers(network);
  const int64_t channels = std::get<Conv>(network.layers[convs[conv]].op).weight->shape[0];
  std::vector<bool> keep(channels, false);
  for (const int64_t c : kept) keep[c] = true;
  const auto zeroed = [&](const Constant& weight, int64_t inner) {
    std::vector<float> data = weight->data;
    for (size_t i = 0; i < data.size(); ++i)
      if (!keep[static_cast<int64_t>(i) / inner % channels]) data[i] = 0;
    return constant(weight->shape, std::move(data));
  };
  if (auto* next = std::get_if<Conv>(&result.layers[reader].op)) {
    next->weight = zeroed(next->weight, next->weight->shape[2] * next->weight->shape[3]);
  } else {
    auto& dense = std::get<Dense>(result.layers[reader].op);
    dense.weight = zeroed(dense.weight, 1);
  }
  return result;
}

int layer_named(const Network& network, const std::string& name) {
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i)
    if (network.layers[i].name == name) return i;
  return -1;
}

// The channels with the largest sums of absolute weights.
std::vector<int64_t> largest(const Constant& weight, int64_t count) {
  std::vector<std::pair<double, int64_t>> sums;
  const int64_t taps = element_count(weight->shape) / weight->shape[0];
  for (int64_t o = 0; o < weight->shape[0]; ++o) {
    double sum = 0;
    for (int64_t t = 0; t < taps; ++t) sum += std::abs(weight->data[o * taps + t]);
    sums.emplace_back(-sum, o);
  }
  std::sort(sums.begin(), sums.end());
  std::vector<int64_t> result;
  for (int64_t i = 0; i < count; ++i) result.push_back(sums[i].second);
  return result;
}

TEST(PropagatedBottleneck, IsTheNetworkWithoutTheOtherChannels) {
  struct Row {
    Network network;
    int conv;
    const char* reader;
    int b;
  };
  const Row rows[] = {
      {tiny_plain(), 1, "conv2", 2},
      {tiny_plain(), 1, "conv2", 4},
      {tiny_plain(), 2, "fc", 2},
      {tiny_residual(), 1, "block1.conv2", 2},
      {tiny_residual(), 4, "block2.conv2", 8},
      {tiny_separable(), 1, "project", 4},
      {tiny_dense(), 1, "layer1.conv2", 2},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.network.name + " " + row.reader);
    const Constant weight =
        std::get<Conv>(row.network.layers[conv_layers(row.network)[row.conv]].op).weight;
    const auto result = apply_rewrites(
        row.network, {{row.conv, steps(fmt::format("bottleneck co {} propagated", row.b))}});
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_TRUE(verify(*result).ok());
    EXPECT_LT(multiplies(*result), multiplies(row.network));
    EXPECT_EQ(conv_layers(*result).size(), conv_layers(row.network).size());
    const int64_t kept = weight->shape[0] / row.b;
    EXPECT_EQ(std::get<Conv>(result->layers[conv_layers(*result)[row.conv]].op).weight->shape[0],
              kept);
    const Network definition = with_zeroed_readers(
        row.network, row.conv, layer_named(row.network, row.reader), largest(weight, kept));
    const Tensor x = seeded_tensor({1, 3, 6, 6}, 9);
    const Tensor got = (*evaluate(*result, {x}))[0], expected = (*evaluate(definition, {x}))[0];
    for (size_t i = 0; i < got.data.size(); ++i) EXPECT_NEAR(got.data[i], expected.data[i], 1e-5);
  }
}

TEST(PropagatedBottleneck, ComposesWithStepsOnTheConvAndOnTheOneThatReadsIt) {
  const Network network = tiny_plain();
  const auto result = apply_rewrites(
      network, {{1, steps("bottleneck co 2 propagated; group 2")}, {2, steps("group 4")}});
  ASSERT_TRUE(result.ok()) << result.error().message;
  const std::vector<int> convs = conv_layers(*result);
  EXPECT_EQ(to_text(std::get<Conv>(result->layers[convs[1]].op).weight->shape), "4x4x3x3");
  EXPECT_EQ(to_text(std::get<Conv>(result->layers[convs[2]].op).weight->shape), "16x1x3x3");
  // What the reader has left is told when its own rewrite no longer fits.
  EXPECT_THAT(
      apply_rewrites(network, {{1, steps("bottleneck co 4 propagated")}, {2, steps("group 4")}})
          .error()
          .message,
      HasSubstr("conv conv2: step 'group 4': 4 does not divide ci's 2"));
}

}  // namespace
}  // namespace emulsion
