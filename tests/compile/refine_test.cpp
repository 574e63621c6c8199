#include "compile/refine.h"

#include <gmock/gmock.h>

#include "base/file.h"
#include "lower/lower.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

// Convs that F(6x6) takes, too, on 12 x 12.
Network two_convs() {
  RandomNetworkMaker random(3);
  const auto conv = [&](int64_t ci, int64_t co) {
    Conv c;
    c.pad = {1, 1, 1, 1};
    c.weight = random.random_constant({co, ci, 3, 3}, -0.2, 0.2);
    return c;
  };
  Network network;
  network.name = "two_convs";
  network.inputs = {network.add_value("image", {1, 16, 12, 12})};
  const ValueId a = network.add_layer("a", conv(16, 16), network.inputs);
  network.outputs = {network.add_layer("b", conv(16, 8), {a})};
  return network;
}

TEST(Refine, ChoosesNothingRiskyWithoutATolerance) {
  KernelCache cache = test_cache();
  RefineOptions options;
  options.seconds = 2;
  options.tolerance = 0;
  const Refined refined = must(refine(two_convs(), {}, cache, options));
  EXPECT_FALSE(refined.report);
  for (const LayerChoice& layer : refined.plan.layers)
    EXPECT_NE(layer.kernels[0].algorithm, "winograd6");
}

TEST(Refine, GivesTheSamePlanFromTheSameRecords) {
  const TemporaryDirectory folder;
  KernelCache cache = test_cache();
  RefineOptions options;
  options.seconds = 200;  // nothing is cut short
  options.tolerance = 0;
  options.records = folder.path() / "records.jsonl";
  std::vector<Plan> so_far;
  options.best_so_far = [&](const Plan& plan) {
    so_far.push_back(plan);
    return ok();
  };
  std::string before, after;
  Refined refined = must(refine(two_convs(), {}, cache, options));
  EXPECT_EQ(so_far.size(), 2);
  // What was measured corrects the model, which may have more measured next time.
  for (int i = 0; i < 10 && (i == 0 || before != after); ++i) {
    before = must(read_file(options.records));
    refined = must(refine(two_convs(), {}, cache, options));
    after = must(read_file(options.records));
  }
  ASSERT_EQ(before, after);
  EXPECT_EQ(must(refine(two_convs(), {}, cache, options)).plan, refined.plan);
}

TEST(Refine, SaysWhatIsFastestSoFarInPlansThatCompile) {
  KernelCache cache = test_cache();
  RefineOptions options;
  options.seconds = 15;
  std::vector<Plan> so_far;
  options.best_so_far = [&](const Plan& plan) {
    so_far.push_back(plan);
    return ok();
  };
  const Network network = two_convs();
  (void)must(refine(network, {}, cache, options));
  ASSERT_FALSE(so_far.empty());
  CompileOptions compile;
  compile.target = *resolve_target("host");
  for (const Plan& plan : so_far) {
    LoadedNetwork loaded = must(LoadedNetwork::load(network, plan, cache, compile));
    const std::vector<Tensor> inputs = random_inputs(network, 1);
    EXPECT_LT(relative_error(must(loaded.run(inputs))[0], must(evaluate(network, inputs))[0]),
              1e-4);
  }
}

}  // namespace
}  // namespace emulsion
