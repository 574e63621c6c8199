// What a search finds for each network of ours computes the same as the plain reference and, where
// Python has it, ONNX Runtime.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "models/models.h"
#include "program.h"

namespace emulsion {
namespace {

class SearchedNetwork : public testing::TestWithParam<std::string> {};

TEST_P(SearchedNetwork, Verifies) {
  const TemporaryDirectory folder;
  const std::string model = folder.path() / "m.onnx", out = folder.path() / "out";
  const auto made = run_emulsion({"model", GetParam(), "-o", model});
  ASSERT_EQ(made.exit_code, 0) << made.errors;
  // Kernels are kept between runs.
  const auto searched = run_emulsion({"compile", model, "-o", out, "--name", "net", "--budget",
                                      "10", "--cache", EMULSION_TEST_CACHE});
  ASSERT_EQ(searched.exit_code, 0) << searched.errors;
  const auto verified = run_emulsion({"verify", model, "--plan", out + "/net.plan.json", "--json",
                                      "--python", EMULSION_PYTHON, "--cache", EMULSION_TEST_CACHE});
  EXPECT_EQ(verified.exit_code, 0) << verified.errors;
  const auto json = nlohmann::json::parse(verified.output, nullptr, false);
  ASSERT_TRUE(json.is_object()) << verified.output;
  ASSERT_GE(json["comparisons"].size(), 1);
  for (const auto& comparison : json["comparisons"])
    EXPECT_EQ(comparison["holds"], true) << comparison;
}

std::vector<std::string> names() {
  std::vector<std::string> result;
  for (const Model& model : models()) result.emplace_back(model.name);
  return result;
}

INSTANTIATE_TEST_SUITE_P(, SearchedNetwork, testing::ValuesIn(names()), [](const auto& info) {
  std::string name = info.param;
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
});

}  // namespace
}  // namespace emulsion
