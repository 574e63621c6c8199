// What export writes: read back it is the same network, and others read it as the same function.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/npy.h"
#include "base/process.h"
#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "tests/network/random_network.h"

namespace emulsion {
namespace {

constexpr int k_networks = 400;

Network round_trip(const Network& network) {
  const auto bytes = export_onnx_bytes(network);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message << "\n" << to_text(network);
  if (!bytes.ok()) return network;
  auto again = import_onnx_bytes(*bytes, "again.onnx");
  EXPECT_TRUE(again.ok()) << again.error().message << "\n" << to_text(network);
  return again.ok() ? *again : network;
}

std::vector<Tensor> outputs_of(const Network& network, const std::vector<Tensor>& inputs) {
  auto outputs = evaluate(network, inputs);
  EXPECT_TRUE(outputs.ok()) << outputs.error().message;
  return outputs.ok() ? *outputs : std::vector<Tensor>();
}

TEST(RoundTrip, ComputesTheSame) {
  for (int seed = 0; seed < k_networks; ++seed) {
    const Network network = random_network(seed);
    const std::vector<Tensor> inputs = random_inputs(network, seed);
    const auto expected = outputs_of(network, inputs);
    const auto outputs = outputs_of(round_trip(network), inputs);
    ASSERT_EQ(outputs.size(), expected.size());
    for (size_t i = 0; i < outputs.size(); ++i) {
      EXPECT_LE(relative_error(outputs[i], expected[i]), 1e-5) << seed << "\n" << to_text(network);
    }
  }
}

// Prologues, epilogues and dense layers of higher rank come back as layers of their own, and what
// follows from constants as constants; from then on nothing changes any more, weights included.
TEST(RoundTrip, SettlesToTheSameTextAndWeights) {
  for (int seed = 0; seed < k_networks; ++seed) {
    const Network once = round_trip(round_trip(random_network(seed)));
    const Network twice = round_trip(once);
    EXPECT_EQ(to_text(twice), to_text(once)) << seed;
    for (size_t k = 0; k < once.layers.size() && k < twice.layers.size(); ++k) {
      const auto a = constants(once.layers[k].op), b = constants(twice.layers[k].op);
      ASSERT_EQ(a.size(), b.size());
      for (size_t i = 0; i < a.size(); ++i) {
        ASSERT_EQ(!a[i], !b[i]);
        EXPECT_TRUE(!a[i] || a[i]->data == b[i]->data);
      }
    }
  }
}

TEST(RoundTrip, KeepsNamesOfInputsOutputsAndLayers) {
  Network network;
  network.name = "named";
  const ValueId x = network.add_value("the image", {1, 2, 4, 4});
  network.inputs = {x};
  Conv conv;
  conv.weight = constant({3, 2, 1, 1}, {1, 2, 3, 4, 5, 6});
  conv.epilogue.activation = Activation{};
  const ValueId y = network.add_layer("first", conv, {x});
  network.values[y].name = "scores";
  network.outputs = {y};
  const Network again = round_trip(network);
  EXPECT_EQ(again.name, "named");
  EXPECT_EQ(again.values[again.inputs[0]].name, "the image");
  EXPECT_EQ(again.values[again.outputs[0]].name, "scores");
  EXPECT_EQ(again.layers[0].name, "first");
}

TEST(RoundTrip, AllowsOutputsThatAreInputsConstantsOrRepeated) {
  Network network;
  const ValueId x = network.add_value("x", {1, 3});
  network.inputs = {x};
  const ValueId literal = network.add_layer("c", Literal{constant({2}, {1, 2})}, {});
  const ValueId y = network.add_layer("y", Activation{}, {x});
  network.outputs = {y, x, literal, y};
  const auto outputs = outputs_of(round_trip(network), {Tensor({1, 3}, {-1, 0, 2})});
  ASSERT_EQ(outputs.size(), 4u);
  EXPECT_EQ(outputs[0].data, (std::vector<float>{0, 0, 2}));
  EXPECT_EQ(outputs[1].data, (std::vector<float>{-1, 0, 2}));
  EXPECT_EQ(outputs[2].data, (std::vector<float>{1, 2}));
  EXPECT_EQ(outputs[3].data, (std::vector<float>{0, 0, 2}));
}

TEST(RoundTrip, GathersRowsThatNoResizeModeGives) {
  Network network;
  const ValueId x = network.add_value("x", {1, 1, 4, 3});
  network.inputs = {x};
  network.outputs = {network.add_layer("y", Resize{{3, 0, 0, 2}, {2, 0, 1}}, {x})};
  Tensor image({1, 1, 4, 3});
  for (size_t i = 0; i < image.data.size(); ++i) image.data[i] = static_cast<float>(i);
  const auto expected = outputs_of(network, {image});
  EXPECT_EQ(outputs_of(round_trip(network), {image})[0].data, expected[0].data);
}

TEST(Export, RefusesWeightsThatAreNotThere) {
  Network network;
  const ValueId x = network.add_value("x", {1, 2, 4, 4});
  network.inputs = {x};
  Conv conv;
  conv.weight = abstract_constant({3, 2, 1, 1});
  network.outputs = {network.add_layer("first", conv, {x})};
  const auto bytes = export_onnx_bytes(network);
  ASSERT_FALSE(bytes.ok());
  EXPECT_NE(bytes.error().message.find("layer 'first'"), std::string::npos)
      << bytes.error().message;
}

TEST(Export, RefusesMoreThanTwoGigabytes) {
  Network network;
  const ValueId x = network.add_value("x", {1, 100000});
  network.inputs = {x};
  Dense dense;
  dense.weight = abstract_constant({10000, 100000});
  network.outputs = {network.add_layer("big", dense, {x})};
  const auto bytes = export_onnx_bytes(network);
  ASSERT_FALSE(bytes.ok());
  EXPECT_NE(bytes.error().message.find("4.0 GB"), std::string::npos) << bytes.error().message;
}

TEST(Export, GivesValidFilesThatOnnxRuntimeRunsAlike) {
  const TemporaryDirectory folder;
  std::vector<Network> networks;
  for (int seed = 0; seed < 120; ++seed) {
    const Network network = random_network(seed);
    const std::string stem = fmt::format("{:03}", seed);
    ASSERT_TRUE(export_onnx(network, folder.path() / (stem + ".onnx")).ok());
    const auto inputs = random_inputs(network, seed);
    for (size_t i = 0; i < inputs.size(); ++i) {
      const auto path = folder.path() / fmt::format("{}.in{}.npy", stem, i);
      ASSERT_TRUE(write_npy(path, inputs[i].shape, inputs[i].data).ok());
    }
    networks.push_back(network);
  }
  const auto run = run_process(
      {EMULSION_PYTHON, EMULSION_SOURCE_DIR "/tests/onnx/run_exported.py", folder.path().string()});
  ASSERT_TRUE(run.ok()) << run.error().message;
  ASSERT_EQ(run->exit_code, 0) << run->errors;
  for (int seed = 0; seed < static_cast<int>(networks.size()); ++seed) {
    const auto expected = outputs_of(networks[seed], random_inputs(networks[seed], seed));
    for (size_t i = 0; i < expected.size(); ++i) {
      const auto npy = read_npy(folder.path() / fmt::format("{:03}.out{}.npy", seed, i));
      ASSERT_TRUE(npy.ok()) << npy.error().message;
      const Tensor output(npy->shape, {npy->values.begin(), npy->values.end()});
      EXPECT_LE(relative_error(output, expected[i]), 1e-4) << seed << "\n"
                                                           << to_text(networks[seed]);
    }
  }
}

}  // namespace
}  // namespace emulsion
