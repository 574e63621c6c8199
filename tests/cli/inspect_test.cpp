// emulsion inspect: the table and the JSON say what the network is and what it could become.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "nest/rewrite.h"
#include "onnx/export.h"
#include "simplify/simplify.h"
#include "tests/cli/program.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(Inspect, TheTableNamesLayersSlotsAndTotals) {
  const TemporaryDirectory folder;
  const std::string model = (folder.path() / "m.onnx").string();
  ASSERT_TRUE(export_onnx(tiny_residual(), model).ok());
  const ProcessResult result = run_emulsion({"inspect", model});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("residual: input 1x3x6x6 -> output 1x4"));
  EXPECT_THAT(result.output, HasSubstr("block1.conv1"));
  EXPECT_THAT(result.output,
              HasSubstr("not to be rewritten: it is a shortcut beside another conv"));
  EXPECT_THAT(result.output, HasSubstr("could become: group 2 (-50%)"));
  EXPECT_THAT(result.output, HasSubstr("6 convs (4 slots)"));
  EXPECT_THAT(result.output, testing::Not(HasSubstr("(unchanged)")));
  EXPECT_THAT(run_emulsion({"inspect", model, "--verbose"}).output, HasSubstr("(unchanged)"));
}

TEST(Inspect, TheJsonFitsItsSchemaAndTheNetwork) {
  const TemporaryDirectory folder;
  const std::string model = (folder.path() / "m.onnx").string(),
                    json_file = (folder.path() / "i.json").string();
  for (const Network& network : tiny_networks()) {
    ASSERT_TRUE(export_onnx(network, model).ok());
    const ProcessResult result = run_emulsion({"inspect", model, "--json"});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    ASSERT_TRUE(write_file(json_file, result.output).ok());
    const ProcessResult valid = run_python(
        "import json, sys, jsonschema\n"
        "jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))",
        {json_file, EMULSION_SOURCE_DIR "/docs/schemas/inspect.schema.json"});
    EXPECT_EQ(valid.exit_code, 0) << valid.errors;

    const Network simplified = simplify(network);
    const auto json = nlohmann::json::parse(result.output);
    EXPECT_EQ(json["structure"], structure_hash(simplified));
    EXPECT_EQ(json["multiplies"], multiplies(simplified));
    EXPECT_EQ(json["layers"].size(), simplified.layers.size());
    std::vector<int> found;
    for (const auto& layer : json["layers"]) {
      if (layer.contains("conv") && !layer["rewrites"].empty()) found.push_back(layer["conv"]);
    }
    EXPECT_EQ(found, slots(simplified));
  }
}

TEST(Inspect, RefusesWhatIsNoNetwork) {
  const TemporaryDirectory folder;
  const std::string file = (folder.path() / "noise.onnx").string();
  ASSERT_TRUE(write_file(file, "not a network").ok());
  expect_refusal(run_emulsion({"inspect", file}), "noise.onnx");
  expect_refusal(run_emulsion({"inspect", (folder.path() / "none.onnx").string()}), "none.onnx");
}

}  // namespace
}  // namespace emulsion
