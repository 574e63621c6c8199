// emulsion model: writes the published networks, the same for the same seed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "models/models.h"
#include "onnx/import.h"
#include "tests/cli/program.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(ModelVerb, ListsEveryModel) {
  const ProcessResult result = run_emulsion({"model", "--list"});
  EXPECT_EQ(result.exit_code, 0);
  for (const Model& model : models()) EXPECT_THAT(result.output, HasSubstr(model.name));
}

TEST(ModelVerb, WritesTheNetworkOfTheSeed) {
  const TemporaryDirectory folder;
  const auto write = [&](const char* name, const char* seed) {
    const std::string file = (folder.path() / name).string();
    const ProcessResult result = run_emulsion({"model", "mobilenetv2", "-o", file, "--seed", seed});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return *read_file(file);
  };
  const std::string a = write("a.onnx", "1"), b = write("b.onnx", "1"), c = write("c.onnx", "2");
  EXPECT_EQ(a, b);
  EXPECT_NE(a, c);
  EXPECT_EQ(to_text(*import_onnx(folder.path() / "a.onnx")), to_text(*build_model("mobilenetv2")));
}

TEST(ModelVerb, RefusesInOneLine) {
  expect_refusal(run_emulsion({"model"}), "name a model");
  expect_refusal(run_emulsion({"model", "resnet18"}), "-o resnet18.onnx");
  expect_refusal(run_emulsion({"model", "lenet", "-o", "x.onnx"}),
                 "the models are resnet34-cifar10");
  expect_refusal(run_emulsion({"model", "mobilenetv2", "-o", "/no/such/folder/x.onnx"}),
                 "no folder /no/such/folder");
  // Neither wraps around to another seed.
  for (const char* seed : {"-1", "99999999999999999999999", "abc", ""}) {
    expect_refusal(run_emulsion({"model", "mobilenetv2", "-o", "x.onnx", "--seed", seed}),
                   "is not a whole number");
  }
  // One line, whatever the parser finds.
  expect_refusal(run_emulsion({}), "emulsion --help");
  expect_refusal(run_emulsion({"frobnicate"}), "'frobnicate' is no verb");
  expect_refusal(run_emulsion({"model", "--frobnicate"}), "emulsion model --help");
}

}  // namespace
}  // namespace emulsion
