#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "network/network.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

// x -> conv -> relu, with real weights.
Network small_network() {
  Network network;
  network.inputs = {network.add_value("x", {1, 2, 3, 3})};
  Conv conv;
  conv.weight = constant({1, 2, 1, 1}, {1, 2});
  const ValueId y = network.add_layer("conv", conv, {0});
  network.outputs = {network.add_layer("relu", Activation{}, {y})};
  return network;
}

std::string refusal(const Network& network) {
  const Status status = verify(network);
  return status.ok() ? "" : status.error().message;
}

TEST(Verify, TakesAGoodNetwork) {
  EXPECT_EQ(refusal(small_network()), "");
}

TEST(Verify, TakesAnOutputThatIsAnInput) {
  Network network = small_network();
  network.outputs.push_back(0);
  EXPECT_EQ(refusal(network), "");
}

TEST(Verify, TakesAbstractConstants) {
  Network network = small_network();
  std::get<Conv>(network.layers[0].op).weight = abstract_constant({1, 2, 1, 1});
  EXPECT_EQ(refusal(network), "");
}

TEST(Verify, RefusesNamingLayerAndOp) {
  struct Case {
    void (*spoil)(Network&);
    const char* reason;
  };
  const Case table[] = {
      {[](Network& n) { std::swap(n.layers[0], n.layers[1]); },
       "layer 0 (relu): it reads conv before"},
      {[](Network& n) { n.layers[1].inputs = {2}; }, "layer 1 (relu): it reads relu before"},
      {[](Network& n) { n.layers[1].inputs = {9}; },
       "layer 1 (relu): it reads value 9, which does not exist"},
      {[](Network& n) { n.layers[1].inputs = {-1}; }, "value -1"},
      {[](Network& n) { n.layers[1].output = 1; }, "layer 1 (relu): its output conv is made twice"},
      {[](Network& n) { n.layers[1].output = 0; }, "its output x is made twice"},
      {[](Network& n) { n.layers[1].output = 7; }, "its output 7 does not exist"},
      {[](Network& n) {
         n.values[1].shape = {1, 1, 3, 4};
       },
       "layer 0 (conv): conv: the output's shape is 1x1x3x4 where 1x1x3x3 follows"},
      {[](Network& n) {
         n.inputs = {0, 0};
       },
       "input x is listed twice"},
      {[](Network& n) { n.inputs = {5}; }, "input 5 does not exist"},
      {[](Network& n) {
         n.values[0].shape = {1, 2, 0, 3};
       },
       "input x of shape 1x2x0x3 has no elements"},
      {[](Network& n) { n.outputs = {5}; }, "output 5 does not exist"},
      {[](Network& n) { n.layers.pop_back(); }, "no layer makes output relu"},
      {[](Network& n) { n.add_value("loose", {1}); }, "no layer makes value loose"},
      {[](Network& n) { std::get<Conv>(n.layers[0].op).weight = nullptr; },
       "layer 0 (conv): conv: weight is missing"},
      {[](Network& n) {
         std::get<Conv>(n.layers[0].op).weight = constant({1, 2, 1, 1}, {1, NAN});
       },
       "layer 0 (conv): conv: a constant of shape 1x2x1x1 holds a NaN"},
      {[](Network& n) {
         std::get<Conv>(n.layers[0].op).bias =
             constant({1}, {-std::numeric_limits<float>::infinity()});
       },
       "an infinity"},
      {[](Network& n) {
         auto odd = std::make_shared<Tensor>();
         odd->shape = {1, 2, 1, 1};
         odd->data = {1};
         std::get<Conv>(n.layers[0].op).weight = odd;
       },
       "a constant of shape 1x2x1x1 holds 1 elements"},
      {[](Network& n) {
         std::get<Conv>(n.layers[0].op).stride = {0, 1};
       },
       "stride 0x1"},
      {[](Network& n) { std::get<Conv>(n.layers[0].op).groups = 3; }, "3 groups"},
      {[](Network& n) {
         const Constant one = constant({1}, {1});
         n.layers[1].op = BatchNorm{one, one, one, constant({1}, {-1}), 0.5f};
       },
       "layer 1 (relu): batch_norm: variance -1 plus epsilon 0.5 is not positive"},
  };
  for (const Case& c : table) {
    Network network = small_network();
    c.spoil(network);
    EXPECT_THAT(refusal(network), HasSubstr(c.reason));
  }
}

}  // namespace
}  // namespace emulsion
