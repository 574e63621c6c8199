// The kernels that the search times are those that a compiled network calls.
#include "autoschedule/space_kernels.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "block_network.h"
#include "compile/prepare.h"
#include "lower/algorithm.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

constexpr const char* k_target = "x86-64-linux-avx-avx2-f16c-fma-sse41";

// What a kernel computes, whatever rims its neighbours want: two rewritten neighbours may each ask
// for another layout of what lies between them.
std::string work_of(const KernelSpec& spec) {
  std::string text = fmt::format("{} {}", to_text(spec.op), to_text(spec.output.shape));
  for (const TensorDescriptor& input : spec.inputs)
    text += fmt::format(" {}", to_text(input.shape));
  return text;
}

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
    std::map<std::string, int> expected, found;
    const auto count = [&](const std::vector<int>& calls, int by) {
      for (const int call : calls) expected[work_of(kernels->specs[call])] += by;
    };
    count(kernels->original, 1);
    for (size_t s = 0; s < configuration.size(); ++s) {
      count(kernels->slots[s][configuration[s]].added, 1);
      count(kernels->slots[s][configuration[s]].removed, -1);
    }
    std::erase_if(expected, [](const auto& entry) { return entry.second == 0; });
    Plan plan{structure_hash(simplified), k_target, 1, {}};
    for (const auto& [conv, steps] : rewrites(*space, configuration)) {
      plan.layers.push_back({conv, "", "", steps, {}});
    }
    const auto prepared = prepare(network, plan, k_target);
    ASSERT_TRUE(prepared.ok()) << prepared.error().message;
    for (const KernelCall& call : prepared->calls) ++found[work_of(call.spec)];
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
