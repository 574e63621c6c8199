#include "autoschedule/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <set>

namespace emulsion {
namespace {

using ::testing::ElementsAre;

constexpr double k_never = std::numeric_limits<double>::infinity();

TEST(ParetoFront, KeepsWhatNothingBeatsSlowestFirst) {
  const std::vector<Candidate> candidates = {{10, 0}, {5, 50}, {6, 60},
                                             {5, 40}, {1, 90}, {k_never, -1000}};
  EXPECT_THAT(pareto_front(candidates, std::vector<bool>(6, true)), ElementsAre(0, 3, 4));
  EXPECT_THAT(pareto_front(candidates, {true, true, true, false, true, true}),
              ElementsAre(0, 1, 4));
  EXPECT_THAT(pareto_front({{1, 1}, {1, 1}}, {true, true}), ElementsAre(0));
  EXPECT_THAT(pareto_front({}, {}), ElementsAre());
}

// All sets of candidates over a small grid against the definition.
TEST(ParetoFront, IsAsDefinedForAllSmallSets) {
  for (int code = 0; code < 3 * 3 * 3 * 3 * 3 * 3; ++code) {
    std::vector<Candidate> c(3);
    int rest = code;
    for (Candidate& candidate : c) {
      candidate.ms = rest % 3;
      rest /= 3;
      candidate.loss = rest % 3;
      rest /= 3;
    }
    std::set<int> expected;
    for (int i = 0; i < 3; ++i) {
      bool beaten = false;
      for (int j = 0; j < 3; ++j) {
        const bool as_good = c[j].ms <= c[i].ms && c[j].loss <= c[i].loss;
        const bool equal = c[j].ms == c[i].ms && c[j].loss == c[i].loss;
        beaten = beaten || (j != i && as_good && (!equal || j < i));
      }
      if (!beaten) expected.insert(i);
    }
    const std::vector<int> front = pareto_front(c, {true, true, true});
    EXPECT_EQ(std::set<int>(front.begin(), front.end()), expected) << code;
  }
}

}  // namespace
}  // namespace emulsion
