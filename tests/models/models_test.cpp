// Every model has the parameters and multiplies of its publication, and seeded, sane weights.
#include "models/models.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace emulsion {
namespace {

struct Published {
  const char* name;
  int64_t parameters;  // weights, biases, and the scale and shift of batch norms
  int64_t multiplies;  // of convs and dense layers
  int convs;
};

// Parameters: torchvision's documentation, and for CIFAR those of kuangliu's pytorch-cifar.
// Multiplies: counted by PyTorch hooks on torchvision's modules; torchvision states them
// as 1.81, 3.66, 4.09, 2.83, 7.73, 3.36, 4.29 and 0.30 GFLOPS.
const Published k_published[] = {
    {"resnet34-cifar10", 21282122, 1159402496, 36},
    {"resnext29-cifar10", 9128778, 1409492992, 31},
    {"densenet161-cifar10", 26482378, 2467550784, 160},
    {"resnet18", 11689512, 1814073344, 20},
    {"resnet34", 21797672, 3663761408, 36},
    {"resnet50", 25557032, 4089184256, 53},
    {"densenet121", 7978856, 2834161664, 120},
    {"densenet161", 28681000, 7727907072, 160},
    {"densenet169", 14149480, 3359843328, 168},
    {"densenet201", 20013928, 4291365888, 200},
    {"mobilenetv2", 3504872, 300774272, 52},
};

int64_t learned_parameters(const Network& network) {
  int64_t sum = parameters(network);
  for (const Layer& layer : network.layers) {
    if (const auto* norm = std::get_if<BatchNorm>(&layer.op))
      sum -= 2 * element_count(norm->mean->shape);
  }
  return sum;
}

class ModelTest : public testing::TestWithParam<Published> {};

TEST_P(ModelTest, HasThePublishedParametersAndMultiplies) {
  const Result<Network> network = build_model(GetParam().name);
  ASSERT_TRUE(network.ok());
  EXPECT_TRUE(verify(*network).ok());
  EXPECT_EQ(learned_parameters(*network), GetParam().parameters);
  EXPECT_EQ(multiplies(*network), GetParam().multiplies);
  EXPECT_EQ(static_cast<int>(conv_layers(*network).size()), GetParam().convs);
  EXPECT_EQ(network->outputs.size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(All, ModelTest, testing::ValuesIn(k_published), [](const auto& info) {
  std::string name = info.param.name;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

TEST(Models, EveryModelHasAPublishedRow) {
  std::vector<std::string> table, published;
  for (const Model& model : models()) table.emplace_back(model.name);
  for (const Published& row : k_published) published.emplace_back(row.name);
  EXPECT_EQ(table, published);
}

TEST(Models, AnUnknownNameIsAnErrorThatListsTheModels) {
  const Result<Network> network = build_model("resnet19");
  ASSERT_FALSE(network.ok());
  EXPECT_THAT(network.error().message, testing::HasSubstr("no model \"resnet19\""));
  EXPECT_THAT(network.error().message, testing::HasSubstr("mobilenetv2"));
}

TEST(Models, TheSameSeedGivesTheSameWeightsAndAnotherSeedOthers) {
  const Network a = *build_model("mobilenetv2", 1), b = *build_model("mobilenetv2", 1),
                c = *build_model("mobilenetv2", 2);
  EXPECT_EQ(to_text(a), to_text(c));
  bool differs = false;
  for (size_t i = 0; i < a.layers.size(); ++i) {
    const auto in_a = constants(a.layers[i].op), in_b = constants(b.layers[i].op),
               in_c = constants(c.layers[i].op);
    for (size_t k = 0; k < in_a.size(); ++k) {
      if (!in_a[k]) continue;
      EXPECT_EQ(in_a[k]->data, in_b[k]->data);
      differs = differs || in_a[k]->data != in_c[k]->data;
    }
  }
  EXPECT_TRUE(differs);
}

TEST(Models, NoTwoConvsOfAModelShareTheirDraws) {
  const Network network = *build_model("resnext29-cifar10");
  std::vector<float> firsts;
  for (const int layer : conv_layers(network)) {
    const Conv& conv = std::get<Conv>(network.layers[layer].op);
    const double deviation =
        std::sqrt(2.0 * conv.weight->shape[0] / element_count(conv.weight->shape));
    firsts.push_back(static_cast<float>(conv.weight->data[0] / deviation));
  }
  std::sort(firsts.begin(), firsts.end());
  EXPECT_EQ(std::adjacent_find(firsts.begin(), firsts.end()), firsts.end());
}

TEST(Models, BatchNormsAreNotTrivial) {
  const Network network = *build_model("resnext29-cifar10");
  for (const Layer& layer : network.layers) {
    const auto* norm = std::get_if<BatchNorm>(&layer.op);
    if (!norm) continue;
    for (const Constant& c : {norm->scale, norm->shift, norm->mean, norm->variance}) {
      const auto [low, high] = std::minmax_element(c->data.begin(), c->data.end());
      EXPECT_LT(*low, *high) << layer.name;
    }
    EXPECT_GT(*std::min_element(norm->variance->data.begin(), norm->variance->data.end()), 0);
  }
}

}  // namespace
}  // namespace emulsion
