// Convs of a training pass through compiled kernels agree with plain loops, forward and backward.
#include <gtest/gtest.h>

#include <thread>

#include "base/file.h"
#include "base/random.h"
#include "closed_form.h"
#include "legality/kernel_convs.h"
#include "legality/training_kernels.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

constexpr const char* k_target = "x86-64-linux-avx-avx2-f16c-fma-sse41";

class KernelEngineTest : public ::testing::Test {
 protected:
  KernelCache cache() { return KernelCache(folder_.path(), EMULSION_KERNEL_WORKER, 2); }
  TemporaryDirectory folder_;
};

struct Case {
  const char* name;
  int64_t ci, co;
  Extent2 kernel, stride, dilation;
  Pad4 pad;
  int groups;
};

template <class Array>
double largest_difference(const Array& a, const Array& b) {
  double largest = 0, scale = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    largest = std::max<double>(largest, std::abs(a.data[i] - b.data[i]));
    scale = std::max<double>(scale, std::abs(b.data[i]));
  }
  return largest / scale;
}

TEST_F(KernelEngineTest, ConvsAgreeWithPlainLoops) {
  const Case cases[] = {
      {"3x3", 8, 16, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
      {"3x3, as many channels out as in", 8, 8, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 1},
      {"3x3 stride 2", 8, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 1},
      {"1x1 stride 2", 8, 16, {1, 1}, {2, 2}, {1, 1}, {0, 0, 0, 0}, 1},
      {"1x1", 8, 4, {1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 1},
      {"grouped", 8, 16, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 4},
      {"depthwise", 8, 8, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 8},
      {"uneven", 6, 4, {3, 2}, {2, 1}, {1, 2}, {0, 1, 2, 3}, 2},
      {"padding beyond the window", 4, 4, {2, 2}, {1, 1}, {1, 1}, {3, 2, 0, 1}, 1},
  };
  KernelCache kernels = cache();
  KernelEngine engine(kernels, k_target);
  PlainEngine<float> plain;
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    Conv conv;
    conv.stride = c.stride;
    conv.dilation = c.dilation;
    conv.pad = c.pad;
    conv.groups = c.groups;
    conv.weight = abstract_constant({c.co, c.ci / c.groups, c.kernel[0], c.kernel[1]});
    const RandomStream random(1, c.name);
    uint64_t draw = 0;
    const auto fill = [&](auto& data) {
      for (float& v : data) v = static_cast<float>(random.normal(draw++));
    };
    Weights<float> values(element_count(conv.weight->shape));
    fill(values);
    // What the forward pass has packed is there when the backward pass asks.
    const LayerWeights<float> weights(std::make_shared<const Weights<float>>(std::move(values)),
                                      std::make_shared<PackedWeights>());
    Array<float> x({3, c.ci, 7, 9});
    fill(x.data);
    const auto expected = plain.forward(conv, x, weights);
    const auto forward = engine.forward(conv, x, weights);
    ASSERT_TRUE(forward.ok()) << forward.error().message;
    ASSERT_EQ(forward->shape, expected->shape);
    EXPECT_LT(largest_difference(*forward, *expected), 1e-5);
    Array<float> gradient(expected->shape);
    fill(gradient.data);
    const auto backward = engine.backward(conv, x.shape, gradient, weights);
    ASSERT_TRUE(backward.ok()) << backward.error().message;
    EXPECT_LT(largest_difference(*backward, *plain.backward(conv, x.shape, gradient, weights)),
              1e-5);
  }
}

TEST_F(KernelEngineTest, ScoresAgreeWithDoubleAndDoNotDependOnThreads) {
  KernelCache kernels = cache();
  const testing::TinyResnet net = testing::tiny_resnet({"G", {2}});
  PlainEngine<double> plain;
  const auto expected = fisher_score<double>(net.training, testing::closed_form_images<double>(),
                                             testing::vector_labels(),
                                             testing::closed_form_weights<double>(net), plain);
  ASSERT_TRUE(expected.ok());
  KernelEngine engine(kernels, k_target);
  FisherScore scores[2];
  const auto score = [&](int i) {
    const auto result = fisher_score<float>(net.training, testing::closed_form_images<float>(),
                                            testing::vector_labels(),
                                            testing::closed_form_weights<float>(net), engine);
    if (result.ok()) scores[i] = *result;
  };
  std::thread other([&] { score(0); });
  score(1);
  other.join();
  EXPECT_EQ(scores[0].slots, scores[1].slots);
  for (size_t slot = 0; slot < 4; ++slot) {
    EXPECT_NEAR(scores[1].slots[slot] / expected->slots[slot], 1, 1e-5);
  }
}

TEST_F(KernelEngineTest, TrainingKernelsAreThoseThatScoringRuns) {
  TrainingNetwork training = testing::tiny_resnet({"full", {}}).training;
  // Convs are numbered as the importer would.
  int position = 0;
  for (size_t i = 0; i < training.network.layers.size(); ++i) {
    if (std::holds_alternative<Conv>(training.network.layers[i].op)) training.convs[i] = position++;
  }
  const Steps group = *parse_steps("group 2");
  const auto specs = training_kernels(training, {{1, {group}}, {2, {group}}}, k_target);
  ASSERT_TRUE(specs.ok()) << specs.error().message;
  KernelCache kernels = cache();
  for (const auto& compiled : kernels.compile(*specs)) ASSERT_TRUE(compiled.ok());
  const auto count = [&] {
    int objects = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      const std::string name = entry.path().filename().string();
      objects += name.starts_with("k_") && name.ends_with(".o");
    }
    return objects;
  };
  const int before = count();
  EXPECT_EQ(before, static_cast<int>(specs->size()));
  const auto candidate = rewritten(training, {{1, group}});
  ASSERT_TRUE(candidate.ok());
  KernelEngine engine(kernels, k_target);
  Minibatch minibatch{Tensor({4, 3, 8, 8}, 0.0f), testing::vector_labels()};
  for (size_t i = 0; i < minibatch.images.data.size(); ++i) {
    minibatch.images.data[i] = static_cast<float>(RandomStream(2).normal(i));
  }
  for (const TrainingNetwork& network : {training, *candidate}) {
    const auto score = fisher_score(network, minibatch, 3, engine);
    ASSERT_TRUE(score.ok()) << score.error().message;
    EXPECT_GT(score->total, 0);
  }
  EXPECT_EQ(count(), before);
}

TEST_F(KernelEngineTest, StatisticsFromDataAreThoseOfThePlainReference) {
  KernelCache kernels = cache();
  KernelEngine engine(kernels, k_target);
  const Tensor images = seeded_tensor({5, 3, 6, 6}, 21);
  int told = 0;
  // One with batch norms, and one whose convs have biases and none.
  for (const Network& network : {tiny_residual(), tiny_folded()}) {
    const std::map<int, Steps> rewrites = {{1, *parse_steps("group 2")}};
    KernelConvs convs(engine, [&](int, int) { ++told; });
    const auto ours = rewrite_on_data(network, rewrites, images, &convs);
    const auto plain = rewrite_on_data(network, rewrites, images);
    ASSERT_TRUE(ours.ok()) << ours.error().message;
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(ours->renewed, plain->renewed);
    EXPECT_EQ(ours->inserted, plain->inserted);
    int norms = 0;
    for (size_t i = 0; i < plain->network.layers.size(); ++i) {
      const auto* expected = std::get_if<BatchNorm>(&plain->network.layers[i].op);
      if (!expected) continue;
      const auto& got = std::get<BatchNorm>(ours->network.layers[i].op);
      EXPECT_LE(relative_to_largest(*got.mean, *expected->mean), 1e-5);
      EXPECT_LE(relative_to_largest(*got.variance, *expected->variance), 1e-5);
      ++norms;
    }
    EXPECT_GT(norms, 0);
  }
  EXPECT_GT(told, 0);
}

}  // namespace
}  // namespace emulsion
