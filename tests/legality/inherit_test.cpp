// The inherit score: PyTorch's values on a small trained network, and what it must do on any.
#include "legality/inherit.h"

#include <gtest/gtest.h>

#include <cmath>

#include "trained_resnet.h"

namespace emulsion {
namespace {

using testing::trained_resnet;
using testing::TrainedResnet;

std::map<int, std::vector<Steps>> rewrites_for(const std::vector<std::string>& texts) {
  std::map<int, std::vector<Steps>> result;
  for (const int slot : {1, 2, 3, 4}) {
    for (const std::string& text : texts) result[slot].push_back(*parse_steps(text));
  }
  return result;
}

InheritTable table_of(const TrainedResnet& net, const std::vector<std::string>& texts,
                      const Minibatch& minibatch, const InheritOptions& options = {}) {
  PlainEngine<float> engine;
  const auto table = inherit_table(net.network, rewrites_for(texts), minibatch, engine, options);
  EXPECT_TRUE(table.ok()) << table.error().message;
  return table.ok() ? *table : InheritTable{};
}

const std::vector<std::string> k_specs = {
    "group 2",
    "group 4",
    "depthwise",
    "bottleneck co 2",
    "bottleneck co 4",
    "group 2; bottleneck co 2",
    "bottleneck ci 2",
    "split co 2; group[0] 2; group[1] 4",
    "unroll co 4; group[1] 2",
    "split y 2; group[1] 2",
    "interchange co y; bottleneck y 2; interchange co x; bottleneck x 2"};

TEST(Inherit, AgreesWithPyTorchOnATrainedNetwork) {
  const TrainedResnet net = trained_resnet();
  const InheritTable table = table_of(net, k_specs, net.minibatch);
  EXPECT_NEAR(table.energy / net.vectors["energy"].get<double>(), 1, 1e-4);
  EXPECT_NEAR(table.mean_loss / net.vectors["mean_loss"].get<double>(), 1, 1e-4);
  EXPECT_EQ(table.images, 64);
  EXPECT_FALSE(table.labels_drawn);
  for (const auto& [slot, scores] : table.scores) {
    for (size_t k = 0; k < scores.size(); ++k) {
      const double expected =
          net.vectors["scores"][std::to_string(slot) + " " + k_specs[k]].get<double>();
      EXPECT_NEAR(scores[k].value / expected, 1, 1e-3) << slot << " " << k_specs[k];
    }
  }
}

// The norm's own scale and shift are gone then; its output's mean and variance on these images
// stand for them, which differ from the running statistics a little. (Bottlenecks are left out: the
// singular vectors of a scaled weight are others.)
TEST(Inherit, FoldedBatchNormsGiveNearlyTheSame) {
  const std::vector<std::string> slices = {"group 2", "group 4", "depthwise",
                                           "split co 2; group[0] 2; group[1] 4"};
  const TrainedResnet net = trained_resnet(), folded = trained_resnet(true);
  const InheritTable a = table_of(net, slices, net.minibatch);
  const InheritTable b = table_of(folded, slices, net.minibatch);
  EXPECT_NEAR(b.energy / a.energy, 1, 1e-4);
  for (const auto& [slot, scores] : a.scores) {
    for (size_t k = 0; k < scores.size(); ++k) {
      EXPECT_NEAR(b.scores.at(slot)[k].value / scores[k].value, 1, 0.25)
          << slot << " " << slices[k];
    }
  }
}

TEST(Inherit, TheIdentityScoresZeroAndProgramStepsNextToNothing) {
  const TrainedResnet net = trained_resnet(true);
  const InheritTable table = table_of(net, {"", "tile x 2", "group 2"}, net.minibatch);
  for (const auto& [slot, scores] : table.scores) {
    EXPECT_EQ(scores[0].value, 0);
    EXPECT_EQ(scores[0].standard_error(), 0);
    EXPECT_LT(scores[1].value, 1e-9);
    EXPECT_GT(scores[2].value, 1e-3);
    EXPECT_GT(scores[2].standard_error(), 0);
    EXPECT_LT(scores[2].standard_error(), scores[2].value);
  }
}

TEST(Inherit, ANetworksScoreIsTheSumOfItsSlots) {
  const TrainedResnet net = trained_resnet();
  const InheritTable table = table_of(net, k_specs, net.minibatch);
  const InheritScore total = table.total({{1, 2}, {3, 0}, {4, 5}});
  EXPECT_DOUBLE_EQ(total.value, table.scores.at(1)[2].value + table.scores.at(3)[0].value +
                                    table.scores.at(4)[5].value);
  EXPECT_EQ(table.total({}).value, 0);
  // Errors are those of the sum, not the sum of errors.
  const double parts = table.scores.at(1)[2].standard_error() +
                       table.scores.at(3)[0].standard_error() +
                       table.scores.at(4)[5].standard_error();
  EXPECT_LE(total.standard_error(), parts);
  EXPECT_GT(total.standard_error(), 0);
}

TEST(Inherit, DrawsLabelsFromTheModelWhereThereAreNone) {
  const TrainedResnet net = trained_resnet();
  const Minibatch unlabelled{net.minibatch.images, {}};
  const InheritTable a = table_of(net, k_specs, unlabelled, {.seed = 1});
  const InheritTable again = table_of(net, k_specs, unlabelled, {.seed = 1});
  const InheritTable b = table_of(net, k_specs, unlabelled, {.seed = 2});
  const InheritTable labelled = table_of(net, k_specs, net.minibatch);
  EXPECT_TRUE(a.labels_drawn);
  EXPECT_NE(a.energy, b.energy);
  EXPECT_EQ(a.energy, again.energy);
  // They rank alike: the bottleneck costs least and depthwise most, with either labels.
  for (const InheritTable* table : {&a, &b, &labelled}) {
    for (const auto& [slot, scores] : table->scores) {
      EXPECT_EQ(scores[2].value, std::max({scores[0].value, scores[1].value, scores[2].value}));
    }
  }
}

TEST(Inherit, DoesNotDependOnThreadsBatchesAndWaves) {
  const TrainedResnet net = trained_resnet();
  const InheritTable whole = table_of(net, k_specs, net.minibatch);
  const InheritTable threads = table_of(net, k_specs, net.minibatch, {.workers = 3});
  // Room for one image and one rewrite at a time.
  const InheritTable small = table_of(net, k_specs, net.minibatch, {.memory_bytes = 1});
  for (const auto& [slot, scores] : whole.scores) {
    for (size_t k = 0; k < scores.size(); ++k) {
      EXPECT_EQ(threads.scores.at(slot)[k].value, scores[k].value);
      EXPECT_NEAR(small.scores.at(slot)[k].value / scores[k].value, 1, 1e-5);
    }
  }
}

TEST(Inherit, RefusesWhatItCannotScore) {
  const TrainedResnet net = trained_resnet();
  PlainEngine<float> engine;
  const auto message = [&](const Network& network, const Minibatch& minibatch,
                           const std::string& steps) {
    const auto table = inherit_table(network, {{1, {*parse_steps(steps)}}}, minibatch, engine, {});
    return table.ok() ? "" : table.error().message;
  };
  Minibatch bad = net.minibatch;
  bad.labels[3] = 9;
  EXPECT_EQ(message(net.network, bad, "group 2"), "label 9 is outside the network's 4 classes");
  bad.labels.pop_back();
  EXPECT_EQ(message(net.network, bad, "group 2"), "64 images have 63 labels");
  EXPECT_EQ(message(net.network, {Tensor({8, 3, 9, 9}), {}}, "group 2"),
            "the images have shape 8x3x9x9, the network expects 8x3x8x8");
  EXPECT_EQ(message(net.network, {Tensor({1, 3, 8, 8}), {}}, "group 2"),
            "the inherit score needs 2 images at least, and there are 1");
  EXPECT_NE(message(net.network, net.minibatch, "group 3").find("3 does not divide"),
            std::string::npos);
  Network empty = net.network;
  std::get<Conv>(empty.layers[0].op).weight = abstract_constant({8, 3, 3, 3});
  EXPECT_EQ(message(empty, net.minibatch, "group 2"),
            "layer 'stem' has no weights: a trained network is needed");
}

}  // namespace
}  // namespace emulsion
