#include "autoschedule/space.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "block_network.h"
#include "nest/rewrite.h"

namespace emulsion {
namespace {

using ::testing::ElementsAre;

std::vector<int> convs_of(const SearchSpace& space) {
  std::vector<int> convs;
  for (const SpaceSlot& slot : space.slots) convs.push_back(slot.conv);
  return convs;
}

TEST(SearchSpace, HasTheSlotsAndTheirRewritesByFallingCost) {
  const Network network = testing::block_network();
  const auto space = search_space(network, "", "");
  ASSERT_TRUE(space.ok());
  EXPECT_EQ(convs_of(*space), slots(network));
  EXPECT_THAT(convs_of(*space), ElementsAre(1, 2, 4, 5));
  for (const SpaceSlot& slot : space->slots) {
    ASSERT_GT(slot.choices.size(), 3u);
    EXPECT_TRUE(slot.choices[0].rewrite.empty());
    for (size_t k = 1; k < slot.choices.size(); ++k) {
      EXPECT_LE(slot.choices[k].multiplies, slot.choices[k - 1].multiplies);
    }
  }
}

TEST(SearchSpace, SlotsAndFreezeOverride) {
  const Network network = testing::block_network();
  EXPECT_THAT(convs_of(*search_space(network, "", "^a")), ElementsAre(4, 5));
  EXPECT_THAT(convs_of(*search_space(network, "short|b2", "")), ElementsAre(3, 5));
  EXPECT_THAT(convs_of(*search_space(network, "[ab]2", "b")), ElementsAre(2));
  EXPECT_TRUE(search_space(network, "nothing", "")->slots.empty());
  const auto bad = search_space(network, "(", "");
  ASSERT_FALSE(bad.ok());
  EXPECT_NE(bad.error().message.find("--slots"), std::string::npos);
}

TEST(SearchSpace, CostsAreThoseOfTheRewrittenNetwork) {
  const Network network = testing::block_network();
  const auto space = search_space(network, "", "");
  for (int i = 0; i < 20; ++i) {
    const Configuration configuration = random_configuration(*space, 7, i);
    const auto changed = apply_rewrites(network, rewrites(*space, configuration));
    ASSERT_TRUE(changed.ok());
    EXPECT_EQ(multiplies(*space, configuration), multiplies(*changed));
  }
}

TEST(RandomConfiguration, DependsOnSeedAndIndexOnlyAndCoversARange) {
  const auto space = search_space(testing::block_network(), "", "");
  EXPECT_EQ(random_configuration(*space, 1, 5), random_configuration(*space, 1, 5));
  int differ = 0, kept = 0, changed = 0;
  for (int i = 0; i < 100; ++i) {
    const Configuration configuration = random_configuration(*space, 1, i);
    differ += configuration != random_configuration(*space, 2, i);
    for (size_t s = 0; s < configuration.size(); ++s) {
      ASSERT_GE(configuration[s], 0);
      ASSERT_LT(configuration[s], static_cast<int>(space->slots[s].choices.size()));
      (configuration[s] ? changed : kept) += 1;
    }
  }
  EXPECT_GT(differ, 80);
  EXPECT_GT(kept, 100);
  EXPECT_GT(changed, 100);
}

}  // namespace
}  // namespace emulsion
