#include "compile/memory_plan.h"

#include <gtest/gtest.h>

#include <map>

#include "simplify/simplify.h"
#include "tests/lower/laid_out_simulator.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

// Every element that a value or its rim touches, from the start of the workspace.
std::vector<int64_t> footprint(const TensorDescriptor& d, int64_t offset) {
  std::vector<int64_t> elements;
  for_elements(d, [&](int64_t, int64_t at) { elements.push_back(offset + at); });
  for_rim(d, [&](int64_t at) { elements.push_back(offset + at); });
  return elements;
}

// A network as it is, and with additions fused into convs; and the plan where each of these may
// lie over its residual.
std::vector<Network> variants(uint64_t seed) {
  const Network network = random_network(seed, 14);
  return {network, simplify(network)};
}

MemoryPlan plan_overwriting(const LaidOutNetwork& laid_out) {
  return plan_memory(laid_out, std::vector<bool>(laid_out.network.layers.size(), true));
}

// By brute force: who holds each element of the workspace at each layer.
void expect_no_overlap(const LaidOutNetwork& laid_out) {
  const MemoryPlan plan = plan_overwriting(laid_out);
  std::vector<Lifetime> lives = lifetimes(laid_out);
  // A residual makes way at the layer that reads it and writes in its place.
  for (const ValueId residual : plan.overwritten)
    if (residual >= 0) --lives[residual].last;
  std::map<std::pair<int, int64_t>, ValueId> holders;  // by layer and element
  std::map<int64_t, const TensorDescriptor*> rims;     // geometry whose rim lies on an element
  std::map<int64_t, ValueId> owners;                   // values without one that ever lie on it
  for (ValueId v = 0; v < static_cast<ValueId>(lives.size()); ++v) {
    if (lives[v].first < 0) continue;
    const TensorDescriptor& d = laid_out.descriptors[v];
    ASSERT_GE(plan.offsets[v], 0);
    EXPECT_EQ(plan.offsets[v] % 16, 0) << "64-byte alignment of value " << v;
    for (const int64_t element : footprint(d, plan.offsets[v])) {
      ASSERT_GE(element, 0);
      ASSERT_LT(element, plan.elements);
      for (int layer = lives[v].first; layer <= lives[v].last; ++layer) {
        const auto [holder, fresh] = holders.try_emplace({layer, element}, v);
        ASSERT_TRUE(fresh) << "values " << holder->second << " and " << v << " meet at layer "
                           << layer;
      }
    }
    for_rim(d, [&](int64_t at) { rims[plan.offsets[v] + at] = &d; });
    for_elements(d, [&](int64_t, int64_t at) { owners[plan.offsets[v] + at] = v; });
  }
  for (const auto& [element, geometry] : rims) {
    ASSERT_FALSE(owners.contains(element)) << "value " << owners[element] << " writes a rim";
  }
}

TEST(MemoryPlan, LiveValuesNeverOverlapAndNothingWritesARim) {
  for (uint64_t seed = 0; seed < 150; ++seed) {
    SCOPED_TRACE(seed);
    for (const Network& network : variants(seed)) expect_no_overlap(lay_out(network));
    if (HasFailure()) break;
  }
}

// Two runs in the same workspace, cleared once: nothing of the first may show in the second.
TEST(MemoryPlan, NetworksRunTwiceInOneWorkspace) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const Network network = variants(seed)[seed % 2];
    const LaidOutNetwork laid_out = lay_out(network);
    const MemoryPlan plan = plan_overwriting(laid_out);
    std::vector<float> workspace(plan.elements, 0.0f);
    std::map<ValueId, std::vector<float>> outside;  // inputs, outputs, literals
    const auto memory = [&](ValueId root) {
      if (plan.offsets[root] >= 0) return workspace.data() + plan.offsets[root];
      std::vector<float>& block = outside[root];
      block.resize(storage_elements(laid_out.descriptors[root]), 0.0f);
      return block.data() + origin_offset(laid_out.descriptors[root]);
    };
    for (const uint64_t run : {1, 2}) {
      const std::vector<Tensor> inputs = random_inputs(network, run);
      const Simulated simulated = simulate(laid_out, inputs, memory);
      EXPECT_TRUE(simulated.rims_zero);
      const auto expected = evaluate(network, inputs);
      for (size_t i = 0; i < expected->size(); ++i) {
        ASSERT_EQ(simulated.outputs[i].data, (*expected)[i].data);
      }
    }
  }
}

Conv conv3x3(int64_t channels) {
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  conv.weight =
      constant({channels, channels, 3, 3}, std::vector<float>(channels * channels * 9, 0.1f));
  return conv;
}

TEST(MemoryPlan, AChainOfConvsNeedsTwoImages) {
  Network network;
  ValueId x = network.add_value("x", {1, 4, 8, 8});
  network.inputs = {x};
  for (int i = 0; i < 10; ++i) x = network.add_layer("conv" + std::to_string(i), conv3x3(4), {x});
  network.outputs = {network.add_layer("mean", ReduceMean{{2, 3}, true}, {x})};
  const LaidOutNetwork laid_out = lay_out(network);
  const int64_t image = storage_elements(channels_last({1, 4, 8, 8}, {1, 1, 1, 1}));
  EXPECT_LE(plan_memory(laid_out).elements, 2 * (image + 16) + 4 * 64);
}

// x -> conv -> conv + x -> conv + that ...: an image for the sum, one for what lies between.
Network residual_blocks(int blocks) {
  Network network;
  ValueId x = network.add_value("x", {1, 4, 8, 8});
  network.inputs = {x};
  x = network.add_layer("stem", conv3x3(4), {x});
  for (int i = 0; i < blocks; ++i) {
    const ValueId inside = network.add_layer("inside" + std::to_string(i), conv3x3(4), {x});
    Conv last = conv3x3(4);
    last.epilogue.residual = true;
    x = network.add_layer("last" + std::to_string(i), last, {inside, x});
  }
  x = network.add_layer("after", conv3x3(4), {x});  // so that all sums have a rim
  network.outputs = {network.add_layer("mean", ReduceMean{{2, 3}, true}, {x})};
  return network;
}

TEST(MemoryPlan, OutputsTakeTheirResidualsPlaces) {
  const LaidOutNetwork laid_out = lay_out(residual_blocks(5));
  const MemoryPlan plan = plan_overwriting(laid_out);
  int overwriting = 0;
  for (const Layer& layer : laid_out.network.layers) {
    const auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv || !conv->epilogue.residual) continue;
    ++overwriting;
    EXPECT_EQ(plan.overwritten[layer.output], layer.inputs[1]);
    EXPECT_EQ(plan.offsets[layer.output], plan.offsets[layer.inputs[1]]);
  }
  EXPECT_EQ(overwriting, 5);
  EXPECT_LT(plan.elements, plan_memory(laid_out).elements);
}

TEST(MemoryPlan, AResidualThatIsReadAgainStays) {
  Network network = residual_blocks(2);
  const ValueId sum = network.layers[2].output;
  network.outputs.push_back(
      network.add_layer("late", ReduceMean{{2, 3}, true}, {network.layers[2].inputs[1]}));
  const MemoryPlan plan = plan_overwriting(lay_out(network));
  EXPECT_EQ(plan.overwritten[sum], -1);
}

TEST(MemoryPlan, AConvDoesNotOverwriteItsOwnInput) {
  Network network;
  ValueId x = network.add_value("x", {1, 4, 8, 8});
  network.inputs = {x};
  x = network.add_layer("stem", conv3x3(4), {x});
  Conv conv = conv3x3(4);
  conv.epilogue.residual = true;
  x = network.add_layer("sum", conv, {x, x});
  network.outputs = {network.add_layer("mean", ReduceMean{{2, 3}, true}, {x})};
  EXPECT_EQ(plan_overwriting(lay_out(network)).overwritten[x], -1);
}

TEST(MemoryPlan, ValuesWithoutRimsShareWhenTheirLivesDoNotMeet) {
  Network network;
  ValueId x = network.add_value("x", {64});
  network.inputs = {x};
  for (int i = 0; i < 10; ++i) x = network.add_layer("relu" + std::to_string(i), Activation{}, {x});
  network.outputs = {x};
  EXPECT_EQ(plan_memory(lay_out(network)).elements, 2 * 64);
}

}  // namespace
}  // namespace emulsion
