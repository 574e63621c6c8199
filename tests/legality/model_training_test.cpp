// Every published network can be scored: as built, and after simplification folds its batch norms
// away.
#include <gtest/gtest.h>

#include "legality/narrow_network.h"
#include "models/models.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

int norms_of(const Network& network) {
  int count = 0;
  for (const Layer& layer : network.layers) count += std::holds_alternative<BatchNorm>(layer.op);
  return count;
}

// A copy with a quarter of the channels, or a third or half where a count does not divide.
void expect_narrower(const TrainingNetwork& full) {
  int factor = 4;
  auto narrow = narrow_network(full, factor);
  while (!narrow.ok() && factor > 2) narrow = narrow_network(full, --factor);
  ASSERT_TRUE(narrow.ok()) << narrow.error().message;
  const Status fits = verify_structure(narrow->network);
  EXPECT_TRUE(fits.ok()) << fits.error().message;
  EXPECT_EQ(narrow->slots, full.slots);
  for (size_t s = 0; s < full.slot_values.size(); ++s) {
    Shape expected = full.network.shape(full.slot_values[s]);
    expected[1] /= factor;
    EXPECT_EQ(narrow->network.shape(narrow->slot_values[s]), expected);
  }
  const ValueId output = full.network.outputs[0];
  EXPECT_EQ(narrow->network.shape(output), full.network.shape(output));
}

TEST(ModelTraining, EveryModelHasSlotsAndATrainingNetwork) {
  for (const Model& model : models()) {
    SCOPED_TRACE(model.name);
    const Network network = model.build(0);
    const std::vector<int> convs = slots(network);
    ASSERT_FALSE(convs.empty());
    const auto training = training_network(network, convs, 3);
    ASSERT_TRUE(training.ok()) << training.error().message;
    const Status fits = verify(training->network);
    EXPECT_TRUE(fits.ok()) << fits.error().message;
    EXPECT_EQ(training->network.shape(training->network.outputs[0])[0], 3);
    // Convs and batch norms are apart already: none is missing.
    EXPECT_EQ(norms_of(training->network), norms_of(network));
    std::map<int, Steps> changes;
    const std::vector<int> layers = conv_layers(network);
    for (const int conv : convs) {
      const Layer& layer = network.layers[layers[conv]];
      changes[conv] = rewrites_of(std::get<Conv>(layer.op), network.shape(layer.inputs[0])).back();
    }
    const auto candidate = rewritten(*training, changes);
    ASSERT_TRUE(candidate.ok()) << candidate.error().message;
    EXPECT_LT(multiplies(candidate->network), multiplies(training->network));
    expect_narrower(*training);
  }
}

TEST(ModelTraining, FoldedNormsComeBack) {
  for (const char* name : {"resnet34-cifar10", "resnext29-cifar10", "mobilenetv2"}) {
    SCOPED_TRACE(name);
    const Network network = *build_model(name);
    const Network simplified = simplify(network);
    ASSERT_LT(norms_of(simplified), norms_of(network));
    const auto training = training_network(simplified, slots(simplified), 2);
    ASSERT_TRUE(training.ok()) << training.error().message;
    EXPECT_EQ(norms_of(training->network), norms_of(network));
  }
}

}  // namespace
}  // namespace emulsion
