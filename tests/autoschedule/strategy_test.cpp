// What the strategies propose for one space.
#include "autoschedule/strategy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "autoschedule/pareto.h"
#include "base/random.h"

namespace emulsion {
namespace {

constexpr int k_slots = 12, k_choices = 6;

SearchSpace example_space() {
  SearchSpace space;
  for (int s = 0; s < k_slots; ++s) {
    space.slots.push_back({s, "", std::vector<SlotChoice>(k_choices)});
  }
  return space;
}

AdditiveTable example_table() {
  const RandomStream random(4, "strategy table");
  AdditiveTable table{50, {}};
  for (int s = 0; s < k_slots; ++s) {
    auto& row = table.slots.emplace_back(1);
    for (int k = 1; k < k_choices; ++k) {
      const double saved = random.uniform(s * 100 + k, 0, 4);
      row.push_back({-saved, saved * random.uniform(s * 100 + 50 + k)});
    }
  }
  return table;
}

// The area of (saved time, avoided loss) that the proposals' front covers.
double covered(const AdditiveTable& table, const std::vector<Configuration>& proposals) {
  std::vector<Candidate> candidates;
  for (const Configuration& c : proposals) candidates.push_back({table.ms(c), table.loss(c)});
  double area = 0, last_loss = 50;
  const auto front = pareto_front(candidates, std::vector<bool>(candidates.size(), true));
  for (auto i = front.rbegin(); i != front.rend(); ++i) {
    area += std::max(0.0, last_loss - candidates[*i].loss) * (50 - candidates[*i].ms);
    last_loss = std::min(last_loss, candidates[*i].loss);
  }
  return area;
}

TEST(Strategies, AreFoundByName) {
  EXPECT_STREQ((*find_strategy("exact"))->name, "exact");
  const auto wrong = find_strategy("annealing");
  ASSERT_FALSE(wrong.ok());
  EXPECT_THAT(wrong.error().message, ::testing::HasSubstr("exact, evolve, random"));
}

TEST(Strategies, GiveValidConfigurationsAndTheSameForTheSameSeed) {
  const SearchSpace space = example_space();
  const AdditiveTable table = example_table();
  for (const Strategy& strategy : strategies()) {
    const auto first = strategy.search({space, table, 200, 7});
    EXPECT_FALSE(first.empty()) << strategy.name;
    for (const Configuration& configuration : first) {
      ASSERT_EQ(configuration.size(), static_cast<size_t>(k_slots));
      for (const int choice : configuration) {
        EXPECT_GE(choice, 0);
        EXPECT_LT(choice, k_choices);
      }
    }
    EXPECT_EQ(strategy.search({space, table, 200, 7}), first) << strategy.name;
  }
}

TEST(Strategies, EvolutionBeatsRandomAndNothingBeatsExact) {
  const SearchSpace space = example_space();
  const AdditiveTable table = example_table();
  const auto area = [&](const char* name) {
    return covered(table, (*find_strategy(name))->search({space, table, 1000, 3}));
  };
  EXPECT_GT(area("evolve"), area("random"));
  EXPECT_GE(area("exact"), area("evolve"));
}

}  // namespace
}  // namespace emulsion
