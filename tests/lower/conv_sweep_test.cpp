// Every conv algorithm and every template of its schedules on convs of odd shapes, on all targets
// that this machine runs or emulates, one in eight (all that are emulated) as the object that
// networks have.
#include <map>
#include <set>

#include "base/random.h"
#include "emulated_kernel.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "odd_convs.h"
#include "replay.h"

namespace emulsion {
namespace {

constexpr int k_parts = 16;      // tests that the list is divided among
constexpr size_t k_chains = 20;  // chains of convs in it, for a target on average

class Cases {
 public:
  std::vector<Replayable> list;

  // One schedule of every template.
  void add_templates(const KernelSpec& spec) {
    std::map<std::string, std::vector<std::string>> templates;
    for (const std::string& schedule : find_algorithm(spec.algorithm)->schedules(spec))
      templates[template_of(schedule)].push_back(schedule);
    for (const auto& [steps, schedules] : templates) {
      Replayable& c = list.emplace_back(Replayable{spec});
      c.spec.schedule = schedules[random_.below(list.size(), schedules.size())];
      if (list.size() % 8 == 0) c.delivery = Delivery::object;
    }
  }

 private:
  RandomStream random_{0, "schedule of a template"};
};

// The same each time.
std::vector<Replayable> all_cases() {
  Cases cases;
  for (const OddFamily& family : odd_families())
    for (const int target : family.values[k_target])
      for (const OddConv& conv : pairwise(family, target))
        cases.add_templates(*spec_of(family, conv));
  const RandomStream random(0, "chains");
  uint64_t position = 0;
  for (size_t chains = 0; chains < k_chains * targets_here().size();) {
    const auto spec = draw_chain([&](size_t n) { return random.below(position++, n); });
    if (!spec) continue;
    cases.add_templates(*spec);
    ++chains;
  }
  return std::move(cases.list);
}

class ConvSweep : public testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    if (line_to_replay()) GTEST_SKIP() << "[SKIP] another case is replayed";
  }
};

TEST_P(ConvSweep, EqualsTheReference) {
  const std::vector<Replayable> cases = all_cases();
  for (size_t i = GetParam(); i < cases.size(); i += k_parts) check_line(to_line(cases[i]));
}

INSTANTIATE_TEST_SUITE_P(Part, ConvSweep, testing::Range(0, k_parts));

TEST(ConvSweepCases, AreForNeonToo) {
  const std::string neon = resolve_target("arm-64-linux").value();
  if (!emulates(neon)) GTEST_SKIP() << "[SKIP] the build found no emulator, see emulated_kernel.h";
  const std::vector<Replayable> cases = all_cases();
  const auto on_neon = std::count_if(cases.begin(), cases.end(),
                                     [&](const Replayable& c) { return c.spec.target == neon; });
  EXPECT_GT(on_neon, cases.size() / 4);
}

TEST(ConvSweepCases, HaveEveryAlgorithmAndItsTemplates) {
  const std::set<std::string> others{"elementwise", "pool",    "dense", "reduce",
                                     "normalize",   "softmax", "move"};
  const std::map<std::string, size_t> least{
      {"depthwise", 4},  {"pointwise", 40}, {"direct", 100},  {"packed", 5},    {"winograd2", 15},
      {"winograd4", 10}, {"winograd5", 8},  {"winograd6", 8}, {"strassen", 10}, {"fused", 20}};
  std::map<std::string, std::map<std::string, std::set<std::string>>> templates;
  for (const Replayable& c : all_cases())
    templates[c.spec.target][c.spec.algorithm].insert(template_of(c.spec.schedule));
  for (const std::string& target : targets_here())
    for (const Algorithm& algorithm : algorithms()) {
      if (others.count(algorithm.name)) continue;
      EXPECT_GE(templates[target][algorithm.name].size(), least.at(algorithm.name))
          << algorithm.name << " on " << target;
    }
}

void expect_any_two_values(const OddFamily& family, int target) {
  const RandomStream random(1, "pairs");
  uint64_t position = 0;
  const std::vector<OddConv> list = pairwise(family, target);
  const auto in_list = [&](int p, int a, int q, int b) {
    return std::any_of(list.begin(), list.end(),
                       [&](const OddConv& c) { return c[p] == a && c[q] == b; });
  };
  const auto in_a_kernel = [&](int p, int a, int q, int b) {
    for (int i = 0; i < 100; ++i) {
      OddConv conv = draw(family, [&](size_t n) { return random.below(position++, n); });
      conv[k_target] = target;
      conv[p] = a;
      conv[q] = b;
      if (spec_of(family, conv)) return true;
    }
    return false;
  };
  for (int p = 0; p < k_odd_properties; ++p)
    for (int q = p + 1; q < k_odd_properties; ++q) {
      if (p == k_target || q == k_target) continue;
      for (const int a : family.values[p])
        for (const int b : family.values[q])
          EXPECT_TRUE(in_list(p, a, q, b) || !in_a_kernel(p, a, q, b))
              << family.name << ": property " << p << " " << a << ", property " << q << " " << b;
    }
}

TEST(ConvSweepCases, HaveAnyTwoValuesInOneConvOfEachTarget) {
  for (const OddFamily& family : odd_families())
    for (const int target : family.values[k_target]) expect_any_two_values(family, target);
}

}  // namespace
}  // namespace emulsion
