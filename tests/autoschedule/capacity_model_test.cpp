#include "autoschedule/capacity_model.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace emulsion {
namespace {

SearchSpace example_space() {
  const Steps group2 = *parse_steps("group 2"), narrow = *parse_steps("bottleneck co 2");
  SearchSpace space;
  for (int s = 0; s < 10; ++s) space.slots.push_back({s, "", {{{}, 0}, {group2, 0}, {narrow, 0}}});
  return space;
}

TEST(CapacityModel, OfNothingPromisesNoChange) {
  const SearchSpace space = example_space();
  for (const auto& slot : CapacityModel(space).log_ratios()) {
    EXPECT_EQ(slot, (std::vector<double>{0, 0, 0}));
  }
}

TEST(CapacityModel, TellsHarmfulRewritesFromHarmlessOnes) {
  const SearchSpace space = example_space();
  CapacityModel model(space);
  const RandomStream random(1, "noise");
  for (int i = 0; i < 60; ++i) {
    const Configuration configuration = random_configuration(space, 3, i);
    double log_ratio = random.normal(i) * 0.05;
    for (const int choice : configuration) log_ratio += choice == 2 ? -0.2 : 0.01 * choice;
    model.add(configuration, log_ratio);
  }
  for (const auto& slot : model.log_ratios()) {
    EXPECT_EQ(slot[0], 0);
    EXPECT_NEAR(slot[1], 0.01, 0.03);
    EXPECT_NEAR(slot[2], -0.2, 0.03);
  }
}

}  // namespace
}  // namespace emulsion
