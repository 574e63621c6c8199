#include "autoschedule/exploration_state.h"

#include <gtest/gtest.h>

#include "base/file.h"

namespace emulsion {
namespace {

class ExplorationStateTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  std::filesystem::path path_ = folder_.path() / "state.jsonl";
  const nlohmann::json identity_ = {{"network", "abc"}, {"seed", 3}};
};

TEST_F(ExplorationStateTest, IsReadBackBitForBit) {
  Verdict verdict;
  verdict.legal = false;
  verdict.rule = LegalityRule::paper;
  verdict.log_ratio = -1.0 / 3;
  verdict.standard_error = 0.1;
  verdict.flip_probability = 1e-17;
  verdict.log_scores = {0.1 + 0.2, -5};
  {
    auto state = ExplorationState::open(path_, identity_);
    ASSERT_TRUE(state.ok());
    ASSERT_TRUE(state->add_reference(4, 1.0 / 7).ok());
    ASSERT_TRUE(state->add_verdict("twelve", verdict).ok());
  }
  const auto state = ExplorationState::open(path_, identity_);
  ASSERT_TRUE(state.ok()) << state.error().message;
  EXPECT_EQ(state->reference().at(4), 1.0 / 7);
  const Verdict& read = state->verdicts().at("twelve");
  EXPECT_EQ(read.legal, verdict.legal);
  EXPECT_EQ(read.rule, verdict.rule);
  EXPECT_EQ(read.log_ratio, verdict.log_ratio);
  EXPECT_EQ(read.standard_error, verdict.standard_error);
  EXPECT_EQ(read.flip_probability, verdict.flip_probability);
  EXPECT_EQ(read.log_scores, verdict.log_scores);
}

TEST_F(ExplorationStateTest, OfAnotherExplorationIsRefusedNamingWhatDiffers) {
  ASSERT_TRUE(ExplorationState::open(path_, identity_).ok());
  const auto state = ExplorationState::open(path_, {{"network", "abc"}, {"seed", 4}});
  ASSERT_FALSE(state.ok());
  EXPECT_NE(state.error().message.find("seed is 3 there and 4 now"), std::string::npos)
      << state.error().message;
}

TEST_F(ExplorationStateTest, ADamagedLineIsNamed) {
  ASSERT_TRUE(ExplorationState::open(path_, identity_).ok());
  const std::string text = *read_file(path_);
  for (const char* line : {"{\"configuration\":\"1\"}\n", "{\"seed\":\"x\",\"log_score\":1}\n",
                           "{\"configuration\":\"1\",\"verdict\":{\"rule\":\"other\"}}\n"}) {
    ASSERT_TRUE(write_file(path_, text + line).ok());
    EXPECT_FALSE(ExplorationState::open(path_, identity_).ok()) << line;
  }
}

}  // namespace
}  // namespace emulsion
