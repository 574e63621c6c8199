// The kernels that the search times are those that a compiled network calls.
#include <gtest/gtest.h>

#include <set>

#include "autoschedule/layer_times.h"
#include "block_network.h"
#include "compile/prepare.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

constexpr const char* k_target = "x86-64-linux-avx-avx2-f16c-fma-sse41";

TEST(SpaceKernels, AreThoseOfEveryCompiledConfiguration) {
  const Network network = testing::block_network();
  const Network simplified = simplify(network);
  const auto space = search_space(simplified, "", "");
  ASSERT_TRUE(space.ok());
  ASSERT_EQ(space->slots.size(), 4u);
  const auto kernels = space_kernels(simplified, *space, k_target);
  ASSERT_TRUE(kernels.ok()) << kernels.error().message;
  for (int i = 0; i < 30; ++i) {
    const Configuration configuration = random_configuration(*space, 11, i);
    std::multiset<std::string> expected, found;
    for (const int k : kernels->rest) expected.insert(kernel_name(kernels->specs[k]));
    for (size_t s = 0; s < configuration.size(); ++s) {
      for (const int k : kernels->slots[s][configuration[s]]) {
        expected.insert(kernel_name(kernels->specs[k]));
      }
    }
    Plan plan{structure_hash(simplified), k_target, 1, {}};
    for (const auto& [conv, steps] : rewrites(*space, configuration)) {
      plan.layers.push_back({conv, "", "", steps, {}});
    }
    const auto prepared = prepare(network, plan, k_target);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    for (const KernelCall& call : prepared->calls) found.insert(kernel_name(call.spec));
    EXPECT_EQ(found, expected) << "configuration " << i;
  }
}

TEST(LayerTimes, PredictBySummingLookUps) {
  LayerTimes times{1.0, {{2.0, 0.5}, {4.0, 3.0, 0.25}}};
  EXPECT_EQ(times.predict({0, 0}), 7.0);
  EXPECT_EQ(times.predict({1, 2}), 1.75);
}

}  // namespace
}  // namespace emulsion
