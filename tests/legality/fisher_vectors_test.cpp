// Scores of twelve tiny networks against float64 values from an independent implementation.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "closed_form.h"

namespace emulsion {
namespace {

using nlohmann::json;
using testing::Spec;

json read_vectors() {
  std::ifstream file(EMULSION_SOURCE_DIR "/tests/legality/data/fisher_test_vectors.json");
  return json::parse(file);
}

Spec spec_of(const json& entry) {
  Spec spec{entry["spec"][0], {}};
  for (size_t i = 1; i < entry["spec"].size(); ++i) {
    const json& number = entry["spec"][i];
    if (number.is_array()) {
      spec.numbers = number.get<std::vector<int>>();
    } else {
      spec.numbers.push_back(number);
    }
  }
  return spec;
}

template <class T>
void expect_scores(double tolerance) {
  const json vectors = read_vectors();
  ASSERT_EQ(vectors["nets"].size(), 12u);
  for (const json& entry : vectors["nets"]) {
    SCOPED_TRACE(entry["spec"].dump());
    const testing::TinyResnet net = testing::tiny_resnet(spec_of(entry));
    PlainEngine<T> engine;
    const auto score =
        fisher_score<T>(net.training, testing::closed_form_images<T>(), testing::vector_labels(),
                        testing::closed_form_weights<T>(net), engine);
    ASSERT_TRUE(score.ok()) << score.error().message;
    EXPECT_NEAR(score->mean_loss / entry["loss_mean"].get<double>(), 1, tolerance);
    for (size_t slot = 0; slot < 4; ++slot) {
      EXPECT_NEAR(score->slots[slot] / entry["conv"][slot].get<double>(), 1, tolerance);
    }
  }
}

TEST(FisherVectors, AgreeInDouble) {
  expect_scores<double>(1e-10);
}
TEST(FisherVectors, AgreeInFloat) {
  expect_scores<float>(1e-5);
}

}  // namespace
}  // namespace emulsion
