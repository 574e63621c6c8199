// Networks with every kind of replacement, compiled: concatenations of channels and rows, views of
// runs of channels, repeated rows, residuals of parts.
#include <gtest/gtest.h>

#include "compile/loaded_network.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

// A chain of 3x3 convs 16 -> 16 with activations; the last two add what comes before them.
Network chain(int convs) {
  RandomNetworkMaker random(5);
  Network network;
  network.name = "chain";
  network.inputs = {network.add_value("image", {1, 4, 8, 8})};
  ValueId x = network.inputs[0];
  for (int i = 0; i < convs; ++i) {
    Conv conv;
    conv.pad = {1, 1, 1, 1};
    conv.weight = random.random_constant({16, i == 0 ? 4 : 16, 3, 3}, -0.2, 0.2);
    conv.bias = random.random_constant({16}, -0.4, 0.4);
    ValueId y = network.add_layer(fmt::format("conv{}", i), conv, {x});
    if (i >= convs - 2) y = network.add_layer(fmt::format("add{}", i), Binary{}, {y, x});
    x = network.add_layer(fmt::format("relu{}", i), Activation{}, {y});
  }
  network.outputs = {network.add_layer("mean", ReduceMean{{2, 3}, false}, {x})};
  return network;
}

TEST(RewrittenNetwork, RunsAsTheRewritesProgramStepsSay) {
  const Network network = chain(3), simplified = simplify(network);
  Plan plan;
  plan.network = structure_hash(simplified);
  plan.layers = {{1,
                  "",
                  "",
                  must(parse_steps("group 2; tile co 8; vectorize coi 8; tile x 4; unroll xi")),
                  {}}};
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(network, plan, cache, {}));
  int scheduled = 0;
  for (const KernelUse& use : loaded.compiled().kernels)
    scheduled += use.schedule == "tile co 8; vectorize coi 8; tile x 4; unroll xi";
  EXPECT_EQ(scheduled, 1);
  const Network expected_network = must(apply_rewrites(simplified, emulsion::rewrites(plan)));
  const std::vector<Tensor> inputs = random_inputs(network, 3);
  EXPECT_LT(
      relative_error(must(loaded.run(inputs))[0], must(evaluate(expected_network, inputs))[0]),
      1e-5);
}

TEST(RewrittenNetwork, ComputesWhatTheReferenceComputes) {
  const Network network = chain(8);
  const char* lists[] = {"split co 2; group[0] 2; group[1] 4",
                         "unroll co 4; group[1] 2",
                         "split y 2; group[0] 2; group[1] 4",
                         "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2",
                         "bottleneck co 2 tiled",
                         "split co 2; group[0] 1; group[1] 2",
                         "split y 2; group[0] 1"};
  const Network simplified = simplify(network);
  Plan plan;
  plan.network = structure_hash(simplified);
  for (int conv = 1; conv < 8; ++conv) {
    plan.layers.push_back({conv, "", "", must(parse_steps(lists[conv - 1])), {}});
  }
  const Network expected_network = must(apply_rewrites(simplified, emulsion::rewrites(plan)));
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(network, plan, cache, {}));
  for (const uint64_t seed : {1, 2}) {
    const std::vector<Tensor> inputs = random_inputs(network, seed);
    const Tensor expected = must(evaluate(expected_network, inputs))[0];
    EXPECT_LT(relative_error(must(loaded.run(inputs))[0], expected), 1e-5);
  }
  // Parts are written in place: beside the image that comes in, the repeated channels alone are
  // copied.
  int copies = 0, adds = 0;
  for (const KernelUse& use : loaded.compiled().kernels) {
    copies += use.op == "copy";
    adds += use.op == "binary";
  }
  EXPECT_LE(copies, 2);
  EXPECT_EQ(adds, 0);
}

}  // namespace
}  // namespace emulsion
