#include "autoschedule/pareto.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <mutex>
#include <set>

#include "base/random.h"

namespace emulsion {
namespace {

using ::testing::ElementsAre;

constexpr double k_never = std::numeric_limits<double>::infinity();

TEST(ParetoFront, KeepsWhatNothingBeatsSlowestFirst) {
  const std::vector<Candidate> candidates = {{10, 100}, {5, 50}, {6, 40},
                                             {5, 60},   {1, 10}, {k_never, 1000}};
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
      candidate.multiplies = rest % 3;
      rest /= 3;
    }
    std::set<int> expected;
    for (int i = 0; i < 3; ++i) {
      bool beaten = false;
      for (int j = 0; j < 3; ++j) {
        const bool as_good = c[j].ms <= c[i].ms && c[j].multiplies >= c[i].multiplies;
        const bool equal = c[j].ms == c[i].ms && c[j].multiplies == c[i].multiplies;
        beaten = beaten || (j != i && as_good && (!equal || j < i));
      }
      if (!beaten) expected.insert(i);
    }
    const std::vector<int> front = pareto_front(c, {true, true, true});
    EXPECT_EQ(std::set<int>(front.begin(), front.end()), expected) << code;
  }
}

Verdict verdict_of(bool legal) {
  Verdict verdict;
  verdict.legal = legal;
  return verdict;
}

TEST(JudgeFront, FindsTheLegalFrontAndJudgesNoneThatCannotBeOnIt) {
  for (uint64_t seed = 0; seed < 50; ++seed) {
    const RandomStream random(seed);
    std::vector<Candidate> candidates;
    std::vector<bool> legal;
    for (uint64_t i = 0; i < 40; ++i) {
      candidates.push_back(
          {random.uniform(3 * i), static_cast<int64_t>(random.below(3 * i + 1, 30))});
      legal.push_back(random.uniform(3 * i + 2) < 0.5);
    }
    const std::vector<int> expected = pareto_front(candidates, legal);
    for (const int threads : {1, 2}) {
      Verdicts verdicts(candidates.size());
      std::mutex mutex;
      std::set<int> judged;
      const auto complete = judge_front(
          candidates, verdicts,
          [&](int i) -> Result<Verdict> {
            const std::lock_guard lock(mutex);
            EXPECT_TRUE(judged.insert(i).second) << "judged twice";
            return verdict_of(legal[i]);
          },
          threads, [] { return false; });
      ASSERT_TRUE(complete.ok());
      EXPECT_TRUE(*complete);
      EXPECT_EQ(legal_front(candidates, verdicts), expected);
      for (const int i : judged) {
        for (const int better : expected) {
          if (better == i) continue;
          EXPECT_FALSE(candidates[better].ms < candidates[i].ms &&
                       candidates[better].multiplies > candidates[i].multiplies);
        }
      }
    }
  }
}

TEST(JudgeFront, StopsWhenAskedAndGoesOnToTheSameFront) {
  const std::vector<Candidate> candidates = {{4, 4}, {3, 3}, {2, 2}, {1, 1}};
  const auto judge = [](int i) -> Result<Verdict> { return verdict_of(i != 1); };
  Verdicts verdicts(4);
  int calls = 0;
  const auto stopped = judge_front(candidates, verdicts, judge, 1, [&] { return ++calls > 2; });
  ASSERT_TRUE(stopped.ok());
  EXPECT_FALSE(*stopped);
  EXPECT_TRUE(*judge_front(candidates, verdicts, judge, 1, [] { return false; }));
  EXPECT_THAT(legal_front(candidates, verdicts), ElementsAre(0, 2, 3));
}

TEST(JudgeFront, ReturnsTheJudgesError) {
  Verdicts verdicts(1);
  const auto result = judge_front(
      {{1, 1}}, verdicts, [](int) -> Result<Verdict> { return error("cannot judge"); }, 1,
      [] { return false; });
  ASSERT_FALSE(result.ok());
  EXPECT_EQ(result.error().message, "cannot judge");
}

}  // namespace
}  // namespace emulsion
