#include "compile/loaded_network.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "nest/step.h"
#include "simplify/simplify.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

void expect_right_results(LoadedNetwork& loaded, const Network& network, uint64_t seed) {
  const std::vector<Tensor> inputs = random_inputs(network, seed);
  const std::vector<Tensor> expected = must(evaluate(network, inputs));
  const std::vector<Tensor> results = must(loaded.run(inputs));
  ASSERT_EQ(results.size(), expected.size());
  for (size_t i = 0; i < results.size(); ++i)
    EXPECT_LT(relative_error(results[i], expected[i]), 1e-5) << i;
}

void expect_compiles_right(const Network& network, const Plan& plan = {},
                           const CompileOptions& options = {}) {
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(network, plan, cache, options));
  for (const uint64_t seed : {1, 2, 3}) expect_right_results(loaded, network, seed);
}

TEST(LoadedNetwork, ComputesWhatTheReferenceComputes) {
  expect_compiles_right(small_network(1));
}

TEST(LoadedNetwork, TakesABatch) {
  expect_compiles_right(small_network(1, 3));
}

TEST(LoadedNetwork, TakesSeveralInputsAndOutputs) {
  expect_compiles_right(network_of_two());
}

TEST(LoadedNetwork, ReadsWeightsBesideTheLibrary) {
  CompileOptions options;
  options.weights_beside = true;
  expect_compiles_right(small_network(1), {}, options);
}

TEST(LoadedNetwork, RunsOnTwoThreads) {
  CompileOptions options;
  options.threads = 2;
  expect_compiles_right(small_network(1), {}, options);
}

TEST(LoadedNetwork, RunsCodeForOlderProcessors) {
  for (const char* target : {"x86-64-linux-sse41", "x86-64-linux-sse41-avx-f16c-fma-avx2"}) {
    SCOPED_TRACE(target);
    CompileOptions options;
    options.target = target;
    expect_compiles_right(small_network(1), {}, options);
  }
}

TEST(LoadedNetwork, OutputsThatAreInputsOrConstants) {
  Network network;
  const ValueId x = network.add_value("x", {1, 3, 4, 4});
  network.inputs = {x};
  const ValueId fixed = network.add_layer("fixed", Literal{constant({1, 2}, {3, 4})}, {});
  network.outputs = {x, fixed, network.add_layer("relu", Activation{}, {x})};
  expect_compiles_right(network);
}

TEST(LoadedNetwork, RandomNetworks) {
  for (uint64_t seed = 0; seed < 6; ++seed) {
    SCOPED_TRACE(seed);
    const Network network = random_network(seed, 5);
    KernelCache cache = test_cache();
    LoadedNetwork loaded = must(LoadedNetwork::load(network, {}, cache, {}));
    const std::vector<Tensor> inputs = random_inputs(network, seed);
    const std::vector<Tensor> expected = must(evaluate(network, inputs));
    const std::vector<Tensor> results = must(loaded.run(inputs));
    for (size_t i = 0; i < results.size(); ++i)
      EXPECT_LT(relative_error(results[i], expected[i]), 1e-4) << i;
  }
}

TEST(LoadedNetwork, AppliesThePlansRewritesAndChoices) {
  const Network network = small_network(1);
  const Network simplified = simplify(network);
  Plan plan;
  plan.network = structure_hash(simplified);
  plan.layers.push_back({1, "", "", must(parse_steps("group 2")), {}});
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(network, plan, cache, {}));
  int rewritten = 0;
  for (const KernelUse& use : loaded.compiled().kernels) rewritten += use.rewrite == "group 2";
  EXPECT_EQ(rewritten, 1);
  const std::vector<Tensor> inputs = random_inputs(network, 1);
  EXPECT_GT(relative_error(must(loaded.run(inputs))[0], must(evaluate(network, inputs))[0]), 1e-3);
}

TEST(LoadedNetwork, PrefetchesLargeWeightsWhileTheLayerBeforeRuns) {
  RandomNetworkMaker random(1);
  Network network;
  ValueId value = network.add_value("x", {1, 8, 8, 8});
  network.inputs = {value};
  // Of the last two convs only one has 512 KB of weights.
  for (const auto& [ci, co] : {std::pair{8, 128}, {128, 128}, {128, 16}}) {
    Conv conv;
    conv.pad = {1, 1, 1, 1};
    conv.weight = random.random_constant({co, ci, 3, 3}, -0.1, 0.1);
    value = network.add_layer(fmt::format("conv{}", co), conv, {value});
  }
  network.outputs = {value};
  Plan plan;
  plan.streaming = {.huge_pages = false, .prefetch_next_kb = 64};
  KernelCache cache = test_cache();
  std::vector<std::vector<std::string>> kernels;
  for (const Plan& p : {Plan{}, plan}) {
    LoadedNetwork loaded = must(LoadedNetwork::load(network, p, cache, {}));
    expect_right_results(loaded, network, 1);
    std::vector<std::string>& names = kernels.emplace_back();
    for (const KernelUse& use : loaded.compiled().kernels)
      if (use.op == "conv") names.push_back(use.kernel);
  }
  ASSERT_EQ(kernels[1].size(), 3u);
  EXPECT_NE(kernels[1][0], kernels[0][0]);
  EXPECT_EQ(kernels[1][1], kernels[0][1]);
  EXPECT_EQ(kernels[1][2], kernels[0][2]);
}

TEST(LoadedNetwork, RefusesAPlanForAnotherNetwork) {
  Plan plan;
  plan.network = "0123";
  KernelCache cache = test_cache();
  const auto loaded = LoadedNetwork::load(small_network(1), plan, cache, {});
  ASSERT_FALSE(loaded.ok());
  EXPECT_EQ(loaded.error().code, ExitCode::bad_input);
}

TEST(LoadedNetwork, RefusesInputsOfAnotherShape) {
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(network_of_two(), {}, cache, {}));
  EXPECT_FALSE(loaded.run({Tensor(Shape{1, 2, 5, 6})}).ok());
  EXPECT_FALSE(loaded.run({Tensor(Shape{1, 2, 5, 6}), Tensor(Shape{1, 2, 6, 5})}).ok());
}

TEST(LoadedNetwork, TimesTheWholeAndEveryCall) {
  KernelCache cache = test_cache();
  LoadedNetwork loaded = must(LoadedNetwork::load(small_network(1), {}, cache, {}));
  const NetworkTime time = must(loaded.time(0.01, true));
  EXPECT_GE(time.calls, 5);
  EXPECT_GT(time.min_ms, 0);
  EXPECT_LE(time.min_ms, time.median_ms);
  EXPECT_EQ(time.layer_min_ms.size(), loaded.compiled().kernels.size());
  EXPECT_EQ(time.layer_median_ms.size(), loaded.compiled().kernels.size());
  EXPECT_TRUE(must(loaded.time(0)).layer_min_ms.empty());
}

}  // namespace
}  // namespace emulsion
