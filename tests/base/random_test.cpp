#include "base/random.h"

#include <gtest/gtest.h>

#include "base/hash.h"

namespace emulsion {
namespace {

TEST(Random, ADrawDependsOnKeyAndPositionOnly) {
  const RandomStream a(1, "weights", 3), b(1, "weights", 3);
  EXPECT_EQ(a.bits(7), b.bits(7));
  EXPECT_NE(a.bits(7), a.bits(8));
  EXPECT_NE(a.bits(7), RandomStream(2, "weights", 3).bits(7));
  EXPECT_NE(a.bits(7), RandomStream(1, "weight", 3).bits(7));
  EXPECT_NE(a.bits(7), RandomStream(1, "weights", 4).bits(7));
}

TEST(Random, MomentsAreThoseOfTheDistributions) {
  const RandomStream stream(11);
  constexpr int k_draws = 100000;
  double uniform = 0, normal = 0, square = 0;
  for (int i = 0; i < k_draws; ++i) {
    uniform += stream.uniform(i);
    normal += stream.normal(i);
    square += stream.normal(i) * stream.normal(i);
  }
  // Five standard errors.
  EXPECT_NEAR(uniform / k_draws, 0.5, 5 * 0.289 / std::sqrt(k_draws));
  EXPECT_NEAR(normal / k_draws, 0.0, 5 / std::sqrt(k_draws));
  EXPECT_NEAR(square / k_draws, 1.0, 5 * std::sqrt(2.0 / k_draws));
}

// The cache's keys and the seeds must not change between machines or builds.
TEST(Hash, IsStable) {
  EXPECT_EQ(hash_text(""), "99aa06d3014798d86001c324468d497f");
  EXPECT_NE(hash_text("a"), hash_text("b"));
}

}  // namespace
}  // namespace emulsion
