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

TEST(CapacityModel, TellsSlotsByTheirKernels) {
  SearchSpace space = example_space();
  for (size_t s = 0; s < space.slots.size(); ++s) {
    const int64_t kernel = s % 2 == 0 ? 1 : 3;
    space.slots[s].weight = {8, 8, kernel, kernel};
    space.slots[s].output = {1, 8, 4, 4};
  }
  CapacityModel model(space);
  for (int i = 0; i < 60; ++i) {
    const Configuration configuration = random_configuration(space, 3, i);
    double log_ratio = 0;
    for (size_t s = 0; s < configuration.size(); ++s) {
      if (configuration[s] == 1) log_ratio += s % 2 == 0 ? -0.1 : 0.05;
    }
    model.add(configuration, log_ratio);
  }
  const auto log_ratios = model.log_ratios();
  for (size_t s = 0; s < log_ratios.size(); ++s) {
    EXPECT_NEAR(log_ratios[s][1], s % 2 == 0 ? -0.1 : 0.05, 0.03);
    EXPECT_NEAR(log_ratios[s][2], 0, 0.03);
  }
}

}  // namespace
}  // namespace emulsion
