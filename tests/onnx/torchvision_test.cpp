// Networks as torchvision and PyTorch's exporter write them, against ONNX Runtime and torch: with
// the batch of 1 that is baked into the files, and with a batch of 2.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"
#include "base/npy.h"
#include "base/process.h"
#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"

namespace emulsion {
namespace {

struct Export {
  const char* model;
  int opset;
  int size;
  const char* batch = "baked";
};

Tensor read_tensor(const std::filesystem::path& path) {
  auto npy = read_npy(path);
  EXPECT_TRUE(npy.ok()) << npy.error().message;
  return {npy->shape, std::vector<float>(npy->values.begin(), npy->values.end())};
}

// The largest difference, relative to the largest expected value.
double relative_difference(const Tensor& got, const Tensor& expected) {
  EXPECT_EQ(got.shape, expected.shape);
  double worst = 0, largest = 0;
  for (size_t i = 0; i < expected.data.size() && i < got.data.size(); ++i) {
    largest = std::max<double>(largest, std::abs(expected.data[i]));
    worst = std::max<double>(worst, std::abs(double{got.data[i]} - expected.data[i]));
  }
  return worst / largest;
}

Tensor run(const Network& network, const Tensor& input) {
  auto outputs = evaluate(network, {input});
  EXPECT_TRUE(outputs.ok()) << outputs.error().message;
  return outputs.ok() ? (*outputs)[0] : Tensor();
}

Network round_trip(const Network& network) {
  const auto bytes = export_onnx_bytes(network);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message;
  auto again = import_onnx_bytes(*bytes, "again.onnx");
  EXPECT_TRUE(again.ok()) << again.error().message;
  return again.ok() ? *again : network;
}

class TorchvisionTest : public testing::TestWithParam<Export> {};

TEST_P(TorchvisionTest, GivesTheOutputsOfOnnxRuntimeAndTorch) {
  const TemporaryDirectory folder;
  const Export& e = GetParam();
  const auto exported = run_process(
      {EMULSION_PYTHON, EMULSION_SOURCE_DIR "/tests/onnx/export_torchvision.py", e.model,
       std::to_string(e.opset), std::to_string(e.size), e.batch, folder.path().string()});
  ASSERT_TRUE(exported.ok()) << exported.error().message;
  ASSERT_EQ(exported->exit_code, 0) << exported->errors;

  const auto path = folder.path() / "model.onnx";
  const Tensor images = read_tensor(folder.path() / "input.npy");
  const Tensor first({1, 3, e.size, e.size},
                     {images.data.begin(), images.data.begin() + 3 * e.size * e.size});
  const auto network = import_onnx(path);
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_EQ(network->values[network->inputs[0]].name, "image");
  EXPECT_EQ(network->values[network->outputs[0]].name, "scores");
  EXPECT_LE(relative_difference(run(*network, first), read_tensor(folder.path() / "one.npy")),
            1e-4);

  const auto both = import_onnx(path, {{{"image", images.shape}}});
  ASSERT_TRUE(both.ok()) << both.error().message;
  EXPECT_LE(relative_difference(run(*both, images), read_tensor(folder.path() / "two.npy")), 1e-4);

  // A round trip may write an activation as two layers (HardSwish comes after opset 13), once.
  const Network once = round_trip(*network);
  EXPECT_LE(relative_difference(run(once, first), read_tensor(folder.path() / "one.npy")), 1e-4);
  EXPECT_EQ(structure_hash(round_trip(once)), structure_hash(once));
}

INSTANTIATE_TEST_SUITE_P(
    Models, TorchvisionTest,
    testing::Values(Export{"resnet18", 17, 64}, Export{"resnet50", 13, 64},
                    Export{"densenet121", 12, 64}, Export{"mobilenet_v2", 11, 64},
                    Export{"mobilenet_v3_small", 13, 64}, Export{"mobilenet_v3_large", 14, 64},
                    Export{"shufflenet_v2_x1_0", 10, 64},
                    Export{"shufflenet_v2_x0_5", 17, 64, "symbolic"},
                    Export{"squeezenet1_1", 9, 64}, Export{"efficientnet_b0", 15, 64},
                    Export{"resnet18", 7, 48}),
    [](const testing::TestParamInfo<Export>& info) {
      return fmt::format("{}_opset{}_{}", info.param.model, info.param.opset, info.param.batch);
    });

}  // namespace
}  // namespace emulsion
