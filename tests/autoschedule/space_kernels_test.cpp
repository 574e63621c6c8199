// The kernels that the search times are those that a compiled network calls.
#include "autoschedule/space_kernels.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "block_network.h"
#include "compile/prepare.h"
#include "lower/algorithm.h"
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
    std::vector<int> calls = kernels->original;
    for (size_t s = 0; s < configuration.size(); ++s) {
      const CallChange& change = kernels->slots[s][configuration[s]];
      calls.insert(calls.end(), change.added.begin(), change.added.end());
      for (const int removed : change.removed) {
        const auto at = std::find(calls.begin(), calls.end(), removed);
        ASSERT_NE(at, calls.end());
        calls.erase(at);
      }
    }
    std::multiset<std::string> expected, found;
    for (const int k : calls) expected.insert(kernel_name(kernels->specs[k]));
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

TEST(SpaceKernels, HaveAlternativesThatAreDistinctAndComplete) {
  const Network simplified = simplify(testing::block_network());
  const auto space = search_space(simplified, "", "");
  const auto kernels = space_kernels(simplified, *space, k_target);
  ASSERT_TRUE(kernels.ok());
  for (const KernelSpec& spec : kernels->specs) {
    const std::vector<KernelSpec> ways = alternatives(spec, 5);
    EXPECT_LE(ways.size(), 5u);
    EXPECT_EQ(kernel_name(ways[0]), kernel_name(spec));
    std::set<std::string> names;
    for (const KernelSpec& way : ways) {
      EXPECT_TRUE(names.insert(kernel_name(way)).second);
      const auto complete = completed(way);
      ASSERT_TRUE(complete.ok()) << complete.error().message;
      EXPECT_EQ(kernel_name(*complete), kernel_name(way));
    }
    EXPECT_TRUE(std::holds_alternative<Conv>(spec.op) || ways.size() == 1u);
  }
}

}  // namespace
}  // namespace emulsion
