// Forms that files take: where constants stand, how batches are written, and what older opsets look
// like.
#include "onnx/import.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/file.h"
#include "network/evaluate.h"
#include "tests/onnx/model_builder.h"

namespace emulsion {
namespace {

Network import_model(const ModelBuilder& model, const ImportOptions& options = {}) {
  auto network = import_onnx_bytes(model.bytes(), "test.onnx", options);
  EXPECT_TRUE(network.ok()) << network.error().message;
  return network.ok() ? *network : Network();
}

std::string import_error(const ModelBuilder& model, const ImportOptions& options = {}) {
  const auto network = import_onnx_bytes(model.bytes(), "test.onnx", options);
  EXPECT_FALSE(network.ok()) << to_text(*network);
  return network.ok() ? "" : network.error().message;
}

// 0, 1, 2, ... in the shape of the network's input, through the network.
Tensor run_on_count(const Network& network) {
  Tensor x(network.shape(network.inputs.at(0)));
  for (size_t i = 0; i < x.data.size(); ++i) x.data[i] = static_cast<float>(i);
  auto outputs = evaluate(network, {x});
  EXPECT_TRUE(outputs.ok()) << outputs.error().message;
  return outputs.ok() ? (*outputs)[0] : Tensor();
}

using Floats = std::vector<float>;

TEST(Import, TakesInitialisersThatAreListedAsInputs) {
  ModelBuilder m;
  m.input("x", {1, 2});
  m.input("c", {2});
  m.floats("c", {2}, {10, 20});
  m.node("Add", {"x", "c"}, {"y"});
  m.output("y");
  const Network network = import_model(m);
  EXPECT_EQ(network.inputs.size(), 1u);
  EXPECT_EQ(run_on_count(network).data, (Floats{10, 21}));
}

TEST(Import, TakesConstantsAsNodesInEveryForm) {
  ModelBuilder m;
  m.input("x", {1, 2});
  set_float(m.node("Constant", {}, {"a"}), "value_float", 3);
  set_floats(m.node("Constant", {}, {"b"}), "value_floats", {1, 2});
  set_ints(m.node("Constant", {}, {"s"}), "value_ints", {2, 1});
  set_int(m.node("Constant", {}, {"i"}), "value_int", 7);
  auto& node = m.node("Constant", {}, {"t"});
  auto* tensor = set_attribute(node, "value", onnx::AttributeProto::TENSOR).mutable_t();
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  tensor->add_dims(1);
  tensor->add_float_data(100);
  m.node("Add", {"x", "a"}, {"xa"});
  m.node("Mul", {"xa", "b"}, {"xb"});
  m.node("Add", {"xb", "t"}, {"xt"});
  set_int(m.node("Cast", {"i"}, {"f"}), "to", onnx::TensorProto::FLOAT);
  m.node("Add", {"xt", "f"}, {"xf"});
  m.node("Reshape", {"xf", "s"}, {"y"});
  m.output("y");
  const Tensor y = run_on_count(import_model(m));
  EXPECT_EQ(y.shape, (Shape{2, 1}));
  EXPECT_EQ(y.data, (Floats{110, 115}));
}

TEST(Import, FoldsWeightsThroughIdentityTransposeAndReshape) {
  ModelBuilder m;
  m.input("x", {1, 2, 1, 1});
  m.floats("w", {2, 3}, {1, 2, 3, 4, 5, 6});
  m.ints("shape", {3, 2, 1, 1});
  m.node("Identity", {"w"}, {"w1"});
  set_ints(m.node("Transpose", {"w1"}, {"w2"}), "perm", {1, 0});
  m.node("Reshape", {"w2", "shape"}, {"w3"});
  m.node("Conv", {"x", "w3"}, {"y"});
  m.output("y");
  const Network network = import_model(m);
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(run_on_count(network).data, (Floats{4, 5, 6}));
}

TEST(Import, FoldsFloatArithmeticOnConstants) {
  ModelBuilder m;
  m.input("x", {1, 1, 1, 1});
  m.floats("w", {2, 1, 1, 1}, {1, 2});
  m.floats("scale", {2, 1, 1, 1}, {3, 4});
  m.node("Mul", {"w", "scale"}, {"ws"});
  m.node("Relu", {"ws"}, {"wr"});
  m.node("Conv", {"x", "wr"}, {"y"});
  m.output("y");
  const Network network = import_model(m);
  ASSERT_EQ(network.layers.size(), 1u);
  EXPECT_EQ(std::get<Conv>(network.layers[0].op).weight->data, (Floats{3, 8}));
}

TEST(Import, ReadsNodesInAnyOrder) {
  ModelBuilder m;
  m.input("x", {1, 2});
  m.node("Relu", {"a"}, {"y"});
  m.node("Sigmoid", {"x"}, {"a"});
  m.output("y");
  const Network network = import_model(m);
  ASSERT_EQ(network.layers.size(), 2u);
  EXPECT_EQ(network.layers[0].name, "Sigmoid_a");
}

TEST(Import, IgnoresWhatTheOutputsDoNotNeed) {
  ModelBuilder m;
  m.input("x", {1, 2});
  m.node("Relu", {"x"}, {"y"});
  m.node("NoSuchOperator", {"x"}, {"z"});
  m.output("y");
  EXPECT_EQ(import_model(m).layers.size(), 1u);
}

TEST(Import, NamesAnAliasAfterTheGraphsOutput) {
  ModelBuilder m;
  m.input("x", {1, 2});
  m.node("Relu", {"x"}, {"a"});
  m.node("Dropout", {"a"}, {"y"});
  m.output("y");
  const Network network = import_model(m);
  EXPECT_EQ(network.values[network.outputs[0]].name, "y");
}

TEST(Import, SetsASymbolicBatchToOneAndRefusesOtherOpenDimensions) {
  ModelBuilder m;
  m.input("x", {-1, 3});
  m.node("Relu", {"x"}, {"y"});
  m.output("y");
  EXPECT_EQ(import_model(m).shape(0), (Shape{1, 3}));
  EXPECT_EQ(import_model(m, {{{"x", {5, 3}}}}).shape(0), (Shape{5, 3}));
  ModelBuilder open;
  open.input("x", {-1, 3, -2, 4});
  open.node("Relu", {"x"}, {"y"});
  open.output("y");
  EXPECT_NE(import_error(open).find("dimension 2 ('n2') of input 'x' is open"), std::string::npos);
  EXPECT_EQ(import_model(open, {{{"x", {1, 3, 6, 4}}}}).shape(0), (Shape{1, 3, 6, 4}));
}

// What PyTorch's exporter makes of x.view(x.size(0), -1): the batch from Shape, the rest a
// constant.
TEST(Import, FoldsShapeArithmetic) {
  for (const int batch : {1, 3}) {
    ModelBuilder m;
    m.input("x", {-1, 2, 2, 2});
    m.ints("zero", {0});
    m.ints("rest", {-1});
    m.node("Shape", {"x"}, {"shape"});
    set_int(m.node("Gather", {"shape", "zero"}, {"n"}), "axis", 0);
    set_int(m.node("Concat", {"n", "rest"}, {"target"}), "axis", 0);
    m.node("Reshape", {"x", "target"}, {"y"});
    m.output("y");
    const Network network = import_model(m, {{{"x", {batch, 2, 2, 2}}}});
    ASSERT_EQ(network.layers.size(), 1u);
    EXPECT_EQ(network.shape(network.outputs[0]), (Shape{batch, 8}));
  }
}

struct BakedCase {
  std::vector<int64_t> target;
  Shape expected;  // for a batch of 3; empty: refused
};

// x is 1x4x2x2 in the file and 3x4x2x2 as asked for.
TEST(Import, GeneralisesABatchThatIsBakedIntoReshapeOrNamesTheNode) {
  const BakedCase cases[] = {
      {{1, 16}, {3, 16}},
      {{1, -1}, {3, 16}},
      {{-1, 16}, {3, 16}},
      {{0, -1}, {3, 16}},
      {{1, 2, 2, 2, 2}, {3, 2, 2, 2, 2}},
      {{1, 1, 16}, {3, 1, 16}},
      {{-1, 4}, {12, 4}},
      {{16}, {}},
      {{4, -1}, {}},
      {{4, 4}, {}},
      {{2, 8}, {}},
  };
  for (const BakedCase& c : cases) {
    ModelBuilder m;
    m.input("x", {1, 4, 2, 2});
    m.ints("target", c.target);
    m.node("Reshape", {"x", "target"}, {"y"});
    m.output("y");
    const ImportOptions options{{{"x", {3, 4, 2, 2}}}};
    if (c.expected.empty()) {
      const std::string message = import_error(m, options);
      EXPECT_NE(message.find("node 'Reshape_y' (Reshape, opset 13): the file's batch is fixed"),
                std::string::npos)
          << message;
    } else {
      const Network network = import_model(m, options);
      EXPECT_EQ(to_text(network.shape(network.outputs[0])), to_text(c.expected))
          << to_text(c.target);
    }
  }
}

TEST(Import, RefusesASliceThatKeepsOnlyTheFilesBatch) {
  ModelBuilder m;
  m.input("x", {1, 4});
  m.ints("starts", {0});
  m.ints("ends", {1});
  m.node("Slice", {"x", "starts", "ends"}, {"y"});
  m.output("y");
  EXPECT_NE(import_error(m, {{{"x", {2, 4}}}}).find("'Slice_y'"), std::string::npos);
}

// ---- Forms of older opsets.

TEST(Import, ReadsClipsBoundsAsAttributesAndAsInputs) {
  ModelBuilder old(10), recent(13);
  for (ModelBuilder* m : {&old, &recent}) {
    m->input("x", {1, 6});
    m->output("y");
  }
  auto& node = old.node("Clip", {"x"}, {"y"});
  set_float(node, "min", 1);
  set_float(node, "max", 4);
  recent.floats("min", {}, {1});
  recent.floats("max", {}, {4});
  recent.node("Clip", {"x", "min", "max"}, {"y"});
  for (ModelBuilder* m : {&old, &recent}) {
    EXPECT_EQ(run_on_count(import_model(*m)).data, (Floats{1, 1, 2, 3, 4, 4}));
  }
}

TEST(Import, ReadsSliceSqueezeUnsqueezeSplitPadAndReduceMeanOfOldOpsets) {
  ModelBuilder m(9);
  m.input("x", {1, 6});
  auto& slice = m.node("Slice", {"x"}, {"a"});
  set_ints(slice, "starts", {1});
  set_ints(slice, "ends", {1000});
  set_ints(slice, "axes", {1});
  set_ints(m.node("Unsqueeze", {"a"}, {"b"}), "axes", {0, 3});
  set_ints(m.node("Squeeze", {"b"}, {"c"}), "axes", {0, 3});
  auto& split = m.node("Split", {"c"}, {"d0", "d1"});
  set_int(split, "axis", 1);
  set_ints(split, "split", {3, 2});
  auto& pad = m.node("Pad", {"d0"}, {"e"});
  set_ints(pad, "pads", {0, 1, 0, 0});
  set_float(pad, "value", 9);
  set_int(m.node("Concat", {"e", "d1"}, {"f"}), "axis", 1);
  auto& mean = m.node("ReduceMean", {"f"}, {"y"});
  set_ints(mean, "axes", {1});
  set_int(mean, "keepdims", 0);
  m.output("y");
  const Tensor y = run_on_count(import_model(m));  // 9 1 2 3 4 5
  EXPECT_EQ(y.shape, (Shape{1}));
  EXPECT_EQ(y.data, (Floats{4}));
}

TEST(Import, FlattensSoftmaxBeforeOpset13) {
  for (const int opset : {11, 13}) {
    ModelBuilder m(opset);
    m.input("x", {1, 2, 2});
    set_int(m.node("Softmax", {"x"}, {"y"}), "axis", 1);
    m.output("y");
    const Tensor y = run_on_count(import_model(m));
    const float sum = y.data[0] + y.data[1] + y.data[2] + y.data[3];
    EXPECT_NEAR(sum, opset == 11 ? 1 : 2, 1e-6);
  }
}

TEST(Import, ReadsUpsampleAndResizeOfEachOpset) {
  for (const int opset : {7, 9, 10, 11, 13, 18, 19, 22}) {
    ModelBuilder m(opset);
    m.input("x", {1, 1, 1, 2});
    if (opset == 7) {
      set_floats(m.node("Upsample", {"x"}, {"y"}), "scales", {1, 1, 2, 3});
    } else {
      m.floats("scales", {4}, {1, 1, 2, 3});
      m.floats("roi", {0}, {});
      const bool old = opset < 11;
      auto& node = old ? m.node(opset == 9 ? "Upsample" : "Resize", {"x", "scales"}, {"y"})
                       : m.node("Resize", {"x", opset == 11 ? "roi" : "", "scales"}, {"y"});
      if (!old) set_string(node, "coordinate_transformation_mode", "asymmetric");
      if (!old) set_string(node, "nearest_mode", "floor");
    }
    m.output("y");
    const Tensor y = run_on_count(import_model(m));
    EXPECT_EQ(y.shape, (Shape{1, 1, 2, 6}));
    EXPECT_EQ(y.data, (Floats{0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1})) << opset;
  }
}

TEST(Import, ReadsDropoutOfEachOpsetAsNothing) {
  for (const int opset : {7, 12, 22}) {
    ModelBuilder m(opset);
    m.input("x", {1, 2});
    m.node("Dropout", {"x"}, {"a", "mask"});
    m.node("Relu", {"a"}, {"y"});
    m.output("y");
    EXPECT_EQ(import_model(m).layers.size(), 1u);
  }
}

TEST(Import, GivesPReluWithAnySlopeThatBroadcasts) {
  const std::pair<Shape, Floats> cases[] = {
      {{2, 1}, {0.5, 2}}, {{1}, {3}}, {{1, 1, 3}, {1, 2, 3}}, {{1, 2, 3}, {1, 2, 3, 4, 5, 6}}};
  for (const auto& [shape, slope] : cases) {
    ModelBuilder m;
    m.input("x", {1, 2, 3});
    m.floats("slope", shape, slope);
    m.floats("three", {}, {3});
    m.node("Sub", {"x", "three"}, {"shifted"});
    m.node("PRelu", {"shifted", "slope"}, {"y"});
    m.output("y");
    const Tensor y = run_on_count(import_model(m));
    for (size_t i = 0; i < 6; ++i) {
      const float x = static_cast<float>(i) - 3;
      const size_t s = shape == Shape{2, 1} ? i / 3 : i % slope.size();
      EXPECT_FLOAT_EQ(y.data[i], x > 0 ? x : x * slope[s]);
    }
  }
}

// ---- External data.

TEST(Import, ReadsExternalDataBesideTheModel) {
  const TemporaryDirectory folder;
  ModelBuilder m;
  m.input("x", {1, 2});
  auto& c = m.floats("c", {2}, {});
  c.clear_raw_data();
  c.set_data_location(onnx::TensorProto::EXTERNAL);
  for (const auto& [key, value] :
       {std::pair{"location", "weights.bin"}, {"offset", "4"}, {"length", "8"}}) {
    auto* entry = c.add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  m.node("Add", {"x", "c"}, {"y"});
  m.output("y");
  const auto path = folder.path() / "m.onnx";
  const float weights[] = {-1, 5, 6};
  ASSERT_TRUE(write_file(path, m.bytes()).ok());
  ASSERT_TRUE(write_file(folder.path() / "weights.bin",
                         {reinterpret_cast<const char*>(weights), sizeof weights})
                  .ok());
  const auto network = import_onnx(path);
  ASSERT_TRUE(network.ok()) << network.error().message;
  EXPECT_EQ(run_on_count(*network).data, (Floats{5, 7}));
}

TEST(Import, RefusesExternalDataThatIsElsewhereOrTooShort) {
  const TemporaryDirectory folder;
  const auto home = folder.path() / "home";
  ASSERT_TRUE(make_directory(home).ok());
  ASSERT_TRUE(write_file(folder.path() / "secret.bin", "12345678").ok());
  ASSERT_TRUE(write_file(home / "short.bin", "1234").ok());
  std::filesystem::create_symlink(folder.path() / "secret.bin", home / "link.bin");
  const std::pair<std::string, std::string> cases[] = {
      {"../secret.bin", "outside the model's folder"},
      {(folder.path() / "secret.bin").string(), "outside the model's folder"},
      {"link.bin", "outside the model's folder"},
      {"none.bin", "is not a file beside the model"},
      {".", "is not a file beside the model"},
      {"short.bin", "too short"},
      {"", "no location"},
  };
  for (const auto& [location, expected] : cases) {
    ModelBuilder m;
    m.input("x", {1, 2});
    auto& c = m.floats("c", {2}, {});
    c.clear_raw_data();
    c.set_data_location(onnx::TensorProto::EXTERNAL);
    auto* entry = c.add_external_data();
    entry->set_key("location");
    entry->set_value(location);
    m.node("Add", {"x", "c"}, {"y"});
    m.output("y");
    const auto network = import_onnx_bytes(m.bytes(), home / "m.onnx");
    ASSERT_FALSE(network.ok()) << location;
    EXPECT_NE(network.error().message.find(expected), std::string::npos) << network.error().message;
  }
}

}  // namespace
}  // namespace emulsion
