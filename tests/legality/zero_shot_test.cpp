// The loss of rewritten networks before training: PyTorch's values, and telling trained networks
// from untrained ones.
#include "legality/zero_shot.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"
#include "nest/recalibrate.h"
#include "network/evaluate.h"
#include "trained_resnet.h"

namespace emulsion {
namespace {

using testing::trained_resnet;
using testing::TrainedResnet;

std::map<int, Steps> rewrites_of_entry(const nlohmann::json& entry) {
  std::map<int, Steps> rewrites;
  for (const auto& [slot, steps] : entry["rewrites"].items()) {
    rewrites[std::stoi(slot)] = *parse_steps(steps);
  }
  return rewrites;
}

ZeroShotJudge judge_of(const Network& network, const Minibatch& minibatch,
                       const ZeroShotOptions& options = {}) {
  static PlainEngine<float> engine;
  auto judge = ZeroShotJudge::create(network, minibatch, engine, options);
  EMULSION_CHECK(judge.ok());
  return std::move(judge).value();
}

class TellingEngine : public PlainEngine<float> {
 public:
  Status prepare(const std::vector<ConvUse>& uses,
                 const std::function<void(int, int)>& progress) override {
    if (progress) progress(1, 1);
    return PlainEngine<float>::prepare(uses, progress);
  }
};

TEST(ZeroShot, TellsProgressWhileItIsCreatedAndNotLater) {
  const TrainedResnet net = trained_resnet();
  TellingEngine engine;
  int told = 0;
  ZeroShotOptions options;
  options.compiling = [&](int, int) { ++told; };
  auto judge = ZeroShotJudge::create(net.network, net.minibatch, engine, options);
  ASSERT_TRUE(judge.ok());
  EXPECT_GT(told, 0);
  told = 0;
  EXPECT_TRUE(judge->judge({}).ok());
  EXPECT_EQ(told, 0);
}

TEST(ZeroShot, AgreesWithPyTorchOnATrainedNetwork) {
  const TrainedResnet net = trained_resnet();
  ZeroShotJudge judge = judge_of(net.network, net.minibatch, {.workers = 2});
  EXPECT_NEAR(judge.original().loss, net.vectors["mean_loss"].get<double>(), 1e-4);
  EXPECT_EQ(judge.original().images, 64);
  EXPECT_GT(judge.original().accuracy, 0.7);
  for (const nlohmann::json& entry : net.vectors["zero_shot"]) {
    const auto result = judge.judge(rewrites_of_entry(entry));
    ASSERT_TRUE(result.ok()) << result.error().message;
    EXPECT_NEAR(result->loss / entry["loss"].get<double>(), 1, 1e-3) << entry["rewrites"];
    EXPECT_GT(result->standard_error, 0);
  }
  EXPECT_EQ(judge.judge({})->loss, judge.original().loss);
}

// What `transform --data` writes is what was judged, batch norms folded or not.
TEST(ZeroShot, IsTheLossOfTheNetworkThatIsWritten) {
  for (const bool folded : {false, true}) {
    SCOPED_TRACE(folded);
    const TrainedResnet net = trained_resnet(folded);
    ZeroShotJudge judge = judge_of(net.network, net.minibatch);
    const auto rewrites = rewrites_of_entry(net.vectors["zero_shot"][1]);
    const auto written = rewrite_on_data(net.network, rewrites, net.minibatch.images);
    ASSERT_TRUE(written.ok()) << written.error().message;
    double loss = 0;
    for (int n = 0; n < 64; ++n) {
      const float* first = net.minibatch.images.data.data() + n * 192;
      const auto logits = evaluate(written->network,
                                   {Tensor({1, 3, 8, 8}, std::vector<float>(first, first + 192))});
      double sum = 0;
      ASSERT_TRUE(logits.ok());
      for (const float v : (*logits)[0].data) sum += std::exp(v);
      loss += std::log(sum) - (*logits)[0].data[net.minibatch.labels[n]];
    }
    EXPECT_NEAR(judge.judge(rewrites)->loss, loss / 64, 1e-3);
  }
}

TEST(ZeroShot, WithoutLabelsTheOriginalsAnswersAreTheTarget) {
  const TrainedResnet net = trained_resnet();
  ZeroShotJudge judge = judge_of(net.network, {net.minibatch.images, {}});
  EXPECT_EQ(judge.original().accuracy, 1);
  const auto mild = judge.judge(rewrites_of_entry(net.vectors["zero_shot"][0]));
  const auto harsh = judge.judge(rewrites_of_entry(net.vectors["zero_shot"][2]));
  EXPECT_GT(mild->loss, judge.original().loss);
  EXPECT_GT(harsh->loss, mild->loss);
  EXPECT_LT(harsh->accuracy, 1);
}

TEST(ZeroShot, UsesFewerImagesWhereMemoryIsShort) {
  const TrainedResnet net = trained_resnet();
  ZeroShotJudge judge = judge_of(net.network, net.minibatch, {.memory_bytes = 64 << 10});
  EXPECT_LT(judge.original().images, 64);
  EXPECT_GE(judge.original().images, 2);
}

TEST(TrainingSigns, TellATrainedNetworkFromOneAtInitialisation) {
  const TrainedResnet net = trained_resnet();
  const TrainingSigns trained =
      training_signs(judge_of(net.network, net.minibatch).original(), net.minibatch.labels, 4);
  EXPECT_TRUE(trained.trained) << trained.sentence;
  EXPECT_NE(trained.sentence.find("guessing has 1.39"), std::string::npos) << trained.sentence;

  for (uint64_t seed = 0; seed < 10; ++seed) {
    Network fresh = net.network;
    for (Layer& layer : fresh.layers) {
      auto* conv = std::get_if<Conv>(&layer.op);
      auto* dense = std::get_if<Dense>(&layer.op);
      if (!conv && !dense) continue;
      Constant& weight = conv ? conv->weight : dense->weight;
      Tensor drawn = *weight;
      const double fan_in = static_cast<double>(drawn.data.size()) / drawn.shape[0];
      const RandomStream random(seed, layer.name);
      for (size_t i = 0; i < drawn.data.size(); ++i) {
        drawn.data[i] = static_cast<float>(random.normal(i) * std::sqrt(2 / fan_in));
      }
      weight = constant(drawn.shape, drawn.data);
    }
    const TrainingSigns untrained =
        training_signs(judge_of(fresh, net.minibatch).original(), net.minibatch.labels, 4);
    EXPECT_FALSE(untrained.trained) << untrained.sentence;
  }
}

}  // namespace
}  // namespace emulsion
