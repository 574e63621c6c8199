#include "network/network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/network/random_network.h"

namespace emulsion {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* k_residual_block = R"(network "block \"1\""
input %0 : 1x8x4x4 "x"
%1 = conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x8x3x3] bias=[8] act=relu <- %0 : 1x8x4x4 "a" "conv a"
%2 = conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x8x3x3] residual=1 <- %1 %0 : 1x8x4x4 "b" "conv b"
%3 = reduce_mean axes=2,3 keep=1 <- %2 : 1x8x1x1 "mean" "mean"
output %3
output %0
)";

Network parsed(const std::string& text) {
  Result<Network> network = parse_network(text);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().message);
  return *network;
}

TEST(NetworkText, PrintsWhatItParses) {
  EXPECT_EQ(to_text(parsed(k_residual_block)), k_residual_block);
}

TEST(NetworkText, RoundTripsOnRandomNetworks) {
  for (uint64_t seed = 0; seed < 300; ++seed) {
    const Network network = random_network(seed);
    const Status status = verify(network);
    ASSERT_TRUE(status.ok()) << status.error().message;
    const std::string text = to_text(network);
    const Network again = parsed(text);
    EXPECT_EQ(to_text(again), text);
    EXPECT_TRUE(verify(again).ok());
    EXPECT_EQ(structure_hash(again), structure_hash(network));
  }
}

TEST(NetworkText, RefusesWithTheLine) {
  const std::pair<const char*, const char*> table[] = {
      {"nonsense", "line 1: it is not a layer"},
      {"input %0 : 1x2 \"x\"\ninput %0 : 1x2 \"y\"", "line 2: value %0 is defined twice"},
      {"output %4", "line 1: value %4 is read before it is defined"},
      {"input %0 : 1xq \"x\"", "'1xq' is not a shape"},
      {"input %1 : 1x2 \"x\"", "value %0 is not defined"},
      {"input %99999999999 : 1 \"x\"", "line 1: it is not a network"},
      {"%0 = warp : 1x2 \"a\" \"b\"", "'warp' is not an op"},
      {"%0 = copy <- %1 : 1x2 \"a\" \"b\"", "%1 is read before"},
      {"%0 = literal value=[2] : 2 \"a\" \"b", "it is not a layer"},
  };
  for (const auto& [text, reason] : table) {
    const Result<Network> network = parse_network(text);
    ASSERT_FALSE(network.ok()) << text;
    EXPECT_THAT(network.error().message, HasSubstr(reason));
  }
}

TEST(NetworkText, SurvivesEveryTruncation) {
  const std::string text = k_residual_block;
  for (size_t size = 0; size < text.size(); ++size) (void)parse_network(text.substr(0, size));
}

TEST(NetworkGraph, TellsProducersConsumersAndConvs) {
  const Network network = parsed(k_residual_block);
  EXPECT_THAT(producers(network), ElementsAre(-1, 0, 1, 2));
  EXPECT_THAT(consumers(network)[0], ElementsAre(0, 1));
  EXPECT_THAT(conv_layers(network), ElementsAre(0, 1));
}

TEST(NetworkGraph, DropsDeadLayersAndRenumbers) {
  Network network = parsed(k_residual_block);
  network.outputs = {1};
  EXPECT_EQ(to_text(without_dead_layers(network)), R"(network "block \"1\""
input %0 : 1x8x4x4 "x"
%1 = conv stride=1x1 dilation=1x1 pad=1,1,1,1 groups=1 weight=[8x8x3x3] bias=[8] act=relu <- %0 : 1x8x4x4 "a" "conv a"
output %1
)");
}

TEST(NetworkGraph, NamesOfValuesStayUnique) {
  Network network;
  network.add_value("x", {1});
  network.add_value("x", {1});
  network.add_value("x", {1});
  EXPECT_EQ(network.values[1].name, "x_1");
  EXPECT_EQ(network.values[2].name, "x_2");
}

TEST(NetworkGraph, InfersShapesAgainForAnotherBatch) {
  Network network = parsed(k_residual_block);
  network.values[0].shape = {3, 8, 5, 6};
  const Result<Network> inferred = infer_shapes(network);
  ASSERT_TRUE(inferred.ok());
  EXPECT_EQ(inferred->shape(2), (Shape{3, 8, 5, 6}));
  EXPECT_EQ(inferred->shape(3), (Shape{3, 8, 1, 1}));

  network.values[0].shape = {3, 7, 5, 6};
  const Result<Network> misfit = infer_shapes(network);
  ASSERT_FALSE(misfit.ok());
  EXPECT_THAT(misfit.error().message, HasSubstr("layer conv a: conv: weight 8x8x3x3"));
}

TEST(NetworkCounts, MultipliesAndParameters) {
  const Network network = parsed(k_residual_block);
  EXPECT_EQ(multiplies(network), 2 * 8 * 8 * 9 * 16);
  EXPECT_EQ(parameters(network), 2 * 8 * 8 * 9 + 8);
}

TEST(StructureHash, ForgetsNamesNumbersAndWeights) {
  const Network network = parsed(k_residual_block);
  const std::string hash = structure_hash(network);
  EXPECT_EQ(hash.size(), 32u);

  Network renamed = network;
  renamed.name = "other";
  for (Value& value : renamed.values) value.name += "'";
  for (Layer& layer : renamed.layers) layer.name += "'";
  EXPECT_EQ(structure_hash(renamed), hash);

  Network weighted = network;
  for (Layer& layer : weighted.layers) {
    for (Constant* c : constants(layer.op)) {
      if (*c) *c = constant((*c)->shape, std::vector<float>(element_count((*c)->shape), 0.5f));
    }
  }
  EXPECT_EQ(structure_hash(weighted), hash);

  Network unused = network;  // a value that nothing names shifts no number
  unused.values.insert(unused.values.begin(), Value{"unused", {1}});
  const auto shift = [](std::vector<ValueId>& ids) {
    for (ValueId& id : ids) ++id;
  };
  shift(unused.inputs);
  shift(unused.outputs);
  for (Layer& layer : unused.layers) {
    shift(layer.inputs);
    ++layer.output;
  }
  EXPECT_EQ(structure_hash(unused), hash);
}

TEST(StructureHash, SeesShapesOpsAndEdges) {
  const Network network = parsed(k_residual_block);
  const std::string hash = structure_hash(network);
  Network other = network;
  std::get<Conv>(other.layers[0].op).epilogue.activation.reset();
  EXPECT_NE(structure_hash(other), hash);
  other = network;
  other.layers[1].inputs[1] = 1;
  EXPECT_NE(structure_hash(other), hash);
  other = network;
  other.outputs.pop_back();
  EXPECT_NE(structure_hash(other), hash);
  other = network;
  other.values[0].shape[0] = 2;
  EXPECT_NE(structure_hash(*infer_shapes(other)), hash);
}

}  // namespace
}  // namespace emulsion
