#include "legality/verdict.h"

#include <gtest/gtest.h>

#include <cmath>

namespace emulsion {
namespace {

// 16 log scores around 0 with sample deviation sigma.
Reference reference_of(double sigma) {
  Reference reference;
  const double step = sigma * std::sqrt(15.0 / 16.0);
  for (int i = 0; i < k_reference_seeds; ++i) reference.log_scores.push_back(i % 2 ? step : -step);
  return reference;
}

// A candidate whose log scores go round these.
LogScore scores(std::vector<double> logs) {
  return [logs](int seed) { return Result<double>(logs[seed % logs.size()]); };
}

struct Case {
  const char* name;
  double sigma;
  std::vector<double> logs;
  bool legal;
  size_t seeds;
};

TEST(Verdict, FisherRuleDecidesByTheTable) {
  const Case cases[] = {
      {"far above: one seed", 0.1, {0.35}, true, 1},
      {"far below: one seed", 0.1, {-0.35}, false, 1},
      {"a little above: two seeds", 0.02, {0.03}, true, 2},
      {"equal with small sigma: two seeds", 0.02, {0.0}, true, 2},
      {"below by less than 5 % with tiny errors", 0.02, {-0.045}, true, 7},
      {"below by more than 5 % and 2 errors", 0.05, {-0.14, -0.10}, false, 8},
      {"below by more than 5 % within 2 errors", 0.2, {-0.12, -0.08}, true, 7},
      {"at the bar: all seeds", 0.05, {-0.04, -0.06}, true, 8},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    const auto verdict = judge(LegalityRule::fisher, reference_of(c.sigma), scores(c.logs));
    ASSERT_TRUE(verdict.ok());
    EXPECT_EQ(verdict->legal, c.legal);
    EXPECT_EQ(verdict->log_scores.size(), c.seeds);
  }
}

TEST(Verdict, PaperRuleComparesOneSeedStrictly) {
  Reference reference = reference_of(0.1);
  const double first = reference.log_scores[0];
  EXPECT_TRUE(judge(LegalityRule::paper, reference, scores({first}))->legal);
  EXPECT_TRUE(judge(LegalityRule::paper, reference, scores({first + 1e-9}))->legal);
  const auto rejected = judge(LegalityRule::paper, reference, scores({first - 1e-9}));
  EXPECT_FALSE(rejected->legal);
  EXPECT_NEAR(rejected->flip_probability, 0.5, 1e-6);
  EXPECT_LT(judge(LegalityRule::paper, reference, scores({first - 1}))->flip_probability, 1e-6);
}

TEST(Verdict, NoneDrawsNoScore) {
  const auto verdict = judge(LegalityRule::none, {}, [](int) -> Result<double> {
    ADD_FAILURE();
    return 0.0;
  });
  EXPECT_TRUE(verdict->legal);
}

TEST(Verdict, FlipProbabilityGrowsTowardsTheBar) {
  const Reference reference = reference_of(0.1);
  const double near = judge(LegalityRule::fisher, reference, scores({-0.06}))->flip_probability;
  const double far = judge(LegalityRule::fisher, reference, scores({0.25}))->flip_probability;
  EXPECT_GT(near, 0.1);
  EXPECT_LT(far, 0.01);
}

TEST(Verdict, ErrorsOfScoringAreReturned) {
  const auto verdict = judge(LegalityRule::fisher, reference_of(0.1),
                             [](int) -> Result<double> { return error("no score"); });
  ASSERT_FALSE(verdict.ok());
  EXPECT_EQ(verdict.error().message, "no score");
}

TEST(Verdict, RuleNamesRoundTrip) {
  for (const LegalityRule rule : {LegalityRule::fisher, LegalityRule::paper, LegalityRule::none}) {
    EXPECT_EQ(*parse_legality(legality_name(rule)), rule);
  }
  EXPECT_FALSE(parse_legality("inherit").ok());
}

}  // namespace
}  // namespace emulsion
