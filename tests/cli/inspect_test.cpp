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

TEST(Inspect, TheSpaceOfAConvSaysWhatEachRewriteSavesAndWhyOthersAreRefused) {
  const TemporaryDirectory folder;
  const std::string model = (folder.path() / "m.onnx").string(),
                    json_file = (folder.path() / "s.json").string();
  const Network network = tiny_residual();
  ASSERT_TRUE(export_onnx(network, model).ok());
  const ProcessResult table = run_emulsion({"inspect", model, "--space", "block1.conv2"});
  ASSERT_EQ(table.exit_code, 0) << table.errors;
  EXPECT_THAT(table.output, HasSubstr("block1.conv2 (conv 2): 16x3x3 -> 16x3x3 k3x3 s1x1 g1"));
  EXPECT_THAT(table.output, testing::ContainsRegex("split-group +split co 2; group.0. 2"));
  EXPECT_THAT(table.output, testing::ContainsRegex("group +group 2 +1 +10368 +50.0% +1152 +50.0%"));
  EXPECT_THAT(table.output,
              testing::ContainsRegex("split-rows .* 2 does not divide the input's 3"));
  EXPECT_THAT(table.output, HasSubstr("layer 'block1.shortcut' (conv) needs all its channels"));

  const ProcessResult by_number = run_emulsion({"inspect", model, "--space", "2", "--json"});
  ASSERT_EQ(by_number.exit_code, 0) << by_number.errors;
  ASSERT_TRUE(write_file(json_file, by_number.output).ok());
  const ProcessResult valid = run_python(
      "import json, sys, jsonschema\n"
      "jsonschema.validate(json.load(open(sys.argv[1])), json.load(open(sys.argv[2])))",
      {json_file, EMULSION_SOURCE_DIR "/docs/schemas/space.schema.json"});
  EXPECT_EQ(valid.exit_code, 0) << valid.errors;
  const auto json = nlohmann::json::parse(by_number.output);
  const Network simplified = simplify(network);
  const Layer& layer = simplified.layers[conv_layers(simplified)[2]];
  EXPECT_EQ(json["rewrites"].size(),
            rewrites_of(std::get<Conv>(layer.op), simplified.shape(layer.inputs[0])).size());
  const ProcessResult stem = run_emulsion({"inspect", model, "--space", "stem"});
  EXPECT_THAT(stem.output, HasSubstr("explore leaves it as it is: it reads the network's input"));
  expect_refusal(run_emulsion({"inspect", model, "--space", "nowhere"}),
                 "has no conv of this name, and its convs are numbered 0 to 5");
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
