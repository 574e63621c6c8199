// Thresholds from fine-tunes: what is fitted, and which files are refused.
#include "legality/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace emulsion {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Calibrate, SeparatesTheAcceptableFromTheOthers) {
  const std::vector<ScoredFineTune> runs = {{0.9, 0.80},  {0.1, 0.93}, {0.3, 0.92},
                                            {0.2, 0.925}, {0.5, 0.90}, {0.7, 0.85}};
  const auto fit = calibrate(runs, 0.93, 0.01);
  ASSERT_TRUE(fit.ok());
  EXPECT_DOUBLE_EQ(fit->threshold, 0.4);
  EXPECT_EQ(fit->wrong, 0);
  EXPECT_EQ(fit->acceptable, 3);
  EXPECT_DOUBLE_EQ(fit->rank_correlation, 1);
  // Without the run at 0.3 it lies between 0.2 and 0.5; without that at 0.5, between 0.3 and 0.7.
  EXPECT_DOUBLE_EQ(fit->low, 0.35);
  EXPECT_DOUBLE_EQ(fit->high, 0.5);
  EXPECT_THAT(fit->warnings, IsEmpty());
  // More tolerance lets more through.
  EXPECT_DOUBLE_EQ(calibrate(runs, 0.93, 0.05)->threshold, 0.6);
}

TEST(Calibrate, LetsAsFewThroughWronglyAsItCan) {
  const auto fit = calibrate(
      {{0.1, 0.9}, {0.2, 0.7}, {0.3, 0.9}, {0.4, 0.9}, {0.5, 0.6}, {0.6, 0.6}}, 0.9, 0.05);
  ASSERT_TRUE(fit.ok());
  EXPECT_DOUBLE_EQ(fit->threshold, 0.45);
  EXPECT_EQ(fit->wrong, 1);
}

TEST(Calibrate, SaysWhyToTrustItLess) {
  const auto all = calibrate({{0.1, 0.9}, {0.2, 0.9}, {0.3, 0.9}}, 0.9, 0.01);
  EXPECT_DOUBLE_EQ(all->threshold, 0.3);  // never beyond what was tried
  EXPECT_THAT(all->warnings, ElementsAre(HasSubstr("are few"), HasSubstr("harsher plans"),
                                         HasSubstr("hardly agree")));
  const auto none = calibrate({{0.1, 0.5}, {0.2, 0.4}, {0.3, 0.3}}, 0.9, 0.01);
  EXPECT_DOUBLE_EQ(none->threshold, 0.05);
  EXPECT_THAT(none->warnings, ElementsAre(HasSubstr("are few"), HasSubstr("milder plans")));
  EXPECT_EQ(calibrate({{0.1, 0.5}}, 0.9, 0.01).error().message,
            "1 fine-tune(s); a threshold needs 3 at least, better 6");
}

TEST(FineTunes, AreReadFromAFile) {
  const auto read = parse_fine_tunes(
      R"({"format": "emulsion-finetunes-1", "original_accuracy": 0.93, "runs": [
          {"plan": "plans/2x.json", "accuracy": 0.925}, {"plan": "plans/3x.json", "accuracy": 0.9},
          {"plan": "plans/4x.json", "accuracy": 0.88}]})",
      "tunes.json");
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(read->original_accuracy, 0.93);
  EXPECT_EQ(read->tolerance, 0.01);
  ASSERT_EQ(read->runs.size(), 3u);
  EXPECT_EQ(read->runs[1].plan, "plans/3x.json");
  EXPECT_EQ(read->runs[1].accuracy, 0.9);
}

TEST(FineTunes, BadFilesAreRefusedWithTheReason) {
  struct Case {
    const char *text, *message;
  };
  const std::string head = R"({"format": "emulsion-finetunes-1", "original_accuracy": 0.9, )";
  const Case cases[] = {
      {"no", "t.json is not JSON"},
      {"[]", "t.json: expected an object"},
      {"{}", "t.json: \"format\" must be \"emulsion-finetunes-1\""},
      {R"({"format": "emulsion-finetunes-1"})", "t.json: \"original_accuracy\" must be a number"},
      {R"({"format": "emulsion-finetunes-1", "original_accuracy": 93})",
       "t.json: \"original_accuracy\" is 93, it must be from 0 to 1"},
      {R"(HEAD "acuracy": 1})",
       "t.json: unknown key \"acuracy\"; the keys are format, original_accuracy, tolerance, runs"},
      {R"(HEAD "runs": 3})", "t.json: \"runs\" must be an array"},
      {R"(HEAD "runs": [{"accuracy": 0.5}]})",
       "t.json: runs[0]: \"plan\" must be the path of a plan"},
      {R"(HEAD "runs": [{"plan": "p.json", "accuracy": "good"}]})",
       "t.json: runs[0]: \"accuracy\" must be a number"},
      {R"(HEAD "runs": []})", "t.json: 0 fine-tune(s); a threshold needs 3 at least, better 6"},
  };
  for (const Case& c : cases) {
    std::string text = c.text;
    if (text.starts_with("HEAD ")) text = head + text.substr(5);
    const auto read = parse_fine_tunes(text, "t.json");
    ASSERT_FALSE(read.ok()) << text;
    EXPECT_EQ(read.error().message, c.message);
    EXPECT_EQ(read.error().code, ExitCode::bad_input);
  }
}

}  // namespace
}  // namespace emulsion
