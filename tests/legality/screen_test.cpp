// Screening by a narrow copy: what the copy is, and that it agrees with the exact verdict where
// both are clear.
#include "legality/screen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "legality/narrow_network.h"
#include "trained_resnet.h"

namespace emulsion {
namespace {

using testing::trained_resnet;

TEST(NarrowNetwork, RefusesWhatDoesNotDivide) {
  const auto full = training_network(trained_resnet().network, {1, 2, 3, 4}, 2);
  const auto narrow = narrow_network(*full, 3);
  ASSERT_FALSE(narrow.ok());
  EXPECT_EQ(narrow.error().message, "layer 'stem': 3 does not divide 8");
}

class ScreenTest : public ::testing::Test {
 protected:
  ScreenTest() : net_(trained_resnet()) {
    minibatch_.labels.assign(net_.minibatch.labels.begin(), net_.minibatch.labels.begin() + 16);
    const auto& data = net_.minibatch.images.data;
    minibatch_.images =
        Tensor({16, 3, 8, 8}, std::vector<float>(data.begin(), data.begin() + 16 * 192));
  }

  FisherJudge judge(ScreenOptions options) {
    std::map<int, std::vector<Steps>> choices;
    for (const int slot : {1, 2, 3, 4}) {
      for (const char* steps : {"", "group 2", "depthwise", "bottleneck co 4"}) {
        choices[slot].push_back(*parse_steps(steps));
      }
    }
    auto judge = FisherJudge::create(net_.network, choices, minibatch_, engine_, options);
    EMULSION_CHECK(judge.ok());
    return std::move(judge).value();
  }

  static Rewrites all(const std::string& steps) {
    Rewrites rewrites;
    for (const int slot : {1, 2, 3, 4}) rewrites[slot] = *parse_steps(steps);
    return rewrites;
  }

  testing::TrainedResnet net_;
  Minibatch minibatch_;
  PlainEngine<float> engine_;
};

TEST_F(ScreenTest, DividesByTheLargestFactorThatLeavesAllChoicesPossible) {
  // A bottleneck by 4 of 8 channels leaves 2; of 2 channels it would leave none.
  EXPECT_EQ(judge({}).narrowing(), 2);
  EXPECT_EQ(judge({.narrowing = 1}).narrowing(), 1);
}

TEST_F(ScreenTest, AgreesWithTheExactVerdictWhereBothAreClear) {
  const std::vector<Rewrites> candidates = {
      {},
      all("group 2"),
      all("bottleneck co 2 tiled"),
      all("bottleneck ci 2"),
      all("split y 2; group[1] 2"),
      all("interchange co y; bottleneck y 2; interchange co x; bottleneck x 2")};
  std::set<bool> answers;
  for (const int narrowing : {1, 2}) {
    FisherJudge fisher = judge({.seed = 3, .workers = 2, .narrowing = narrowing});
    ASSERT_EQ(fisher.narrowing(), narrowing);
    const auto screened = fisher.screen(candidates);
    const auto exact = fisher.judge_exactly(candidates);
    ASSERT_TRUE(screened.ok() && exact.ok());
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Screening& s = (*screened)[i];
      const Verdict& v = (*exact)[i];
      EXPECT_FALSE(s.log_scores.empty());
      EXPECT_LE(static_cast<int>(s.log_scores.size()), k_candidate_seeds);
      if (s.flip_probability > 0.025 || v.flip_probability > 0.025) continue;
      answers.insert(v.legal);
      EXPECT_EQ(s.passes, v.legal) << i << ": " << s.log_ratio << " and " << v.log_ratio;
    }
  }
  EXPECT_EQ(answers, (std::set<bool>{false, true}));  // both kinds of clear case were met
}

TEST_F(ScreenTest, DoesNotDependOnThreadsNorOnTheOtherCandidates) {
  const std::vector<Rewrites> candidates = {all("group 2"), all("depthwise"), {}};
  FisherJudge one = judge({.seed = 1, .workers = 1}), three = judge({.seed = 1, .workers = 3});
  const auto a = one.screen(candidates), b = three.screen(candidates);
  const auto alone = three.screen({candidates[1]});
  ASSERT_TRUE(a.ok() && b.ok() && alone.ok());
  for (size_t i = 0; i < candidates.size(); ++i) {
    EXPECT_EQ((*a)[i].log_scores, (*b)[i].log_scores);
  }
  EXPECT_EQ((*alone)[0].log_scores, (*a)[1].log_scores);
}

// Layers before the first rewritten one are not computed again, weights are shared: the scores are
// those of networks scored on their own.
TEST_F(ScreenTest, ScoresAreThoseOfNetworksScoredAlone) {
  const auto full = training_network(net_.network, {1, 2, 3, 4}, 16);
  ASSERT_TRUE(full.ok());
  FisherJudge fisher = judge({.seed = 4, .narrowing = 1});
  for (const int slot : {1, 2, 3, 4}) {
    SCOPED_TRACE(slot);
    const Rewrites rewrites = {{slot, *parse_steps("group 2")}};
    const auto screened = fisher.screen({rewrites});
    ASSERT_TRUE(screened.ok()) << screened.error().message;
    const auto alone = rewritten(*full, rewrites);
    ASSERT_TRUE(alone.ok());
    const std::vector<double>& scores = (*screened)[0].log_scores;
    for (size_t seed = 0; seed < scores.size(); ++seed) {
      if ((*screened)[0].at_least && seed + 1 == scores.size()) break;
      const auto score = fisher_score(*alone, minibatch_, mix_bits(4) + seed, engine_);
      ASSERT_TRUE(score.ok());
      EXPECT_EQ(scores[seed], std::log(score->total)) << seed;
    }
  }
}

// The scores that screening stops at are lower bounds of those that it stops short of.
TEST_F(ScreenTest, StopsAScoreAsSoonAsItIsEnough) {
  const auto network = training_network(net_.network, {1, 2, 3, 4}, 16);
  ASSERT_TRUE(network.ok());
  const Array<float> images = to_array<float>(minibatch_.images);
  const auto weights = [&](int layer) {
    const auto* conv = std::get_if<Conv>(&network->network.layers[layer].op);
    const Shape& shape = conv ? conv->weight->shape
                              : std::get<Dense>(network->network.layers[layer].op).weight->shape;
    Weights<float> values(element_count(shape));
    const RandomStream random(5, "weights", layer);
    for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(random.normal(i)) / 8;
    return values;
  };
  const auto whole = fisher_score<float>(*network, images, minibatch_.labels, weights, engine_);
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(whole->complete);
  const auto part =
      fisher_score<float>(*network, images, minibatch_.labels, weights, engine_, whole->total / 2);
  ASSERT_TRUE(part.ok());
  EXPECT_FALSE(part->complete);
  EXPECT_GT(part->total, whole->total / 2);
  EXPECT_LE(part->total, whole->total);
  EXPECT_EQ(part->slots[0], 0);
  EXPECT_EQ(part->slots[3], whole->slots[3]);
}

TEST_F(ScreenTest, StopsWhenAsked) {
  FisherJudge fisher = judge({.stop = [] { return true; }});
  const auto screened = fisher.screen({{}});
  ASSERT_FALSE(screened.ok());
  EXPECT_EQ(screened.error().code, ExitCode::interrupted);
}

}  // namespace
}  // namespace emulsion
