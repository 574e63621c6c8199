// The exact front against brute force over all small tables.
#include "autoschedule/knapsack.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "autoschedule/pareto.h"
#include "base/random.h"

namespace emulsion {
namespace {

constexpr double k_never = std::numeric_limits<double>::infinity();

// Numbers from a small grid, so that there are ties; now and then a choice that cannot be made.
AdditiveTable random_table(uint64_t seed, int slots, int choices, uint64_t grid) {
  const RandomStream random(seed, "table");
  uint64_t draw = 0;
  AdditiveTable table;
  table.rest_ms = 100;
  for (int s = 0; s < slots; ++s) {
    auto& row = table.slots.emplace_back(1);
    for (int k = 1; k < choices; ++k) {
      const double ms = -static_cast<double>(random.below(draw++, grid));
      const double loss = static_cast<double>(random.below(draw++, grid));
      row.push_back({random.below(draw++, 8) == 0 ? k_never : ms, loss});
    }
  }
  return table;
}

std::vector<Configuration> all_configurations(const AdditiveTable& table) {
  std::vector<Configuration> all = {{}};
  for (const auto& slot : table.slots) {
    std::vector<Configuration> longer;
    for (const Configuration& configuration : all) {
      for (int k = 0; k < static_cast<int>(slot.size()); ++k) {
        longer.push_back(configuration);
        longer.back().push_back(k);
      }
    }
    all = std::move(longer);
  }
  return all;
}

using Point = std::pair<double, double>;

std::vector<Point> points(const AdditiveTable& table, const std::vector<Configuration>& front) {
  std::vector<Point> result;
  for (const Configuration& c : front) result.emplace_back(table.ms(c), table.loss(c));
  return result;
}

TEST(Knapsack, FindsTheFrontOfAllConfigurations) {
  for (uint64_t seed = 0; seed < 200; ++seed) {
    const AdditiveTable table = random_table(seed, 1 + seed % 5, 2 + seed % 3, 3 + seed % 20);
    const std::vector<Configuration> all = all_configurations(table);
    std::vector<Candidate> candidates;
    for (const Configuration& c : all) candidates.push_back({table.ms(c), table.loss(c)});
    std::vector<Configuration> expected;
    for (const int i : pareto_front(candidates, std::vector<bool>(all.size(), true))) {
      expected.push_back(all[i]);
    }
    EXPECT_EQ(points(table, exact_front(table)), points(table, expected)) << "seed " << seed;
  }
}

TEST(Knapsack, WithFewStatesIsOffByNoMoreThanItSays) {
  constexpr int k_states = 64;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const AdditiveTable table = random_table(seed, 6, 4, 1000000);
    const std::vector<Configuration> whole = exact_front(table),
                                     thin = exact_front(table, k_states);
    ASSERT_LE(thin.size(), k_states);
    const double range = table.ms(whole.front()) - table.ms(whole.back());
    const double slack = range * 6 / k_states;
    EXPECT_EQ(table.ms(thin.back()), table.ms(whole.back()));
    for (const Configuration& wanted : whole) {
      const bool matched = std::any_of(thin.begin(), thin.end(), [&](const Configuration& c) {
        return table.loss(c) <= table.loss(wanted) && table.ms(c) <= table.ms(wanted) + slack;
      });
      EXPECT_TRUE(matched) << "seed " << seed << ", " << table.ms(wanted);
    }
  }
}

TEST(Knapsack, OfNoSlotsIsTheOriginal) {
  EXPECT_THAT(exact_front(AdditiveTable{5, {}}), ::testing::ElementsAre(Configuration{}));
}

}  // namespace
}  // namespace emulsion
