// Files that are wrong: each gives one line that names what is wrong, and never a crash.
#include <gtest/gtest.h>

#include <functional>

#include "onnx/import.h"
#include "onnx/op_table.h"
#include "tests/onnx/model_builder.h"

namespace emulsion {
namespace {

// x [1 2 4 4] -> Conv (w [3 2 3 3], b [3]) -> Relu -> y
ModelBuilder good_model(int opset = 13) {
  ModelBuilder m(opset);
  m.input("x", {1, 2, 4, 4});
  m.filled("w", {3, 2, 3, 3}, 0.5f);
  m.filled("b", {3}, 1);
  m.node("Conv", {"x", "w", "b"}, {"a"});
  m.node("Relu", {"a"}, {"y"});
  m.output("y");
  return m;
}

std::string error_of(const std::string& bytes) {
  const auto network = import_onnx_bytes(bytes, "folder/bad.onnx");
  return network.ok() ? "no error" : network.error().message;
}

struct BadModel {
  const char* name;
  std::function<void(ModelBuilder&)> spoil;
  const char* expected;
};

onnx::NodeProto& conv(ModelBuilder& m) {
  return *m.graph().mutable_node(0);
}
onnx::NodeProto& relu(ModelBuilder& m) {
  return *m.graph().mutable_node(1);
}
onnx::TensorProto& weight(ModelBuilder& m) {
  return *m.graph().mutable_initializer(0);
}

const BadModel k_bad_models[] = {
    {"cycle", [](auto& m) { conv(m).set_input(0, "y"); }, "(Conv, opset 13): it lies on a cycle"},
    {"missing initialiser", [](auto& m) { conv(m).set_input(1, "gone"); },
     "node 'Conv_a' (Conv, opset 13): 'gone' is neither an input, an initialiser nor any node's "
     "output"},
    {"missing output", [](auto& m) { m.output("z"); }, "the graph's output: 'z' is neither"},
    {"no output", [](auto& m) { m.graph().clear_output(); }, "the graph has no output"},
    {"no graph", [](auto& m) { m.model.clear_graph(); }, "it has no graph"},
    {"no opset", [](auto& m) { m.model.clear_opset_import(); }, "names no opset"},
    {"old opset", [](auto& m) { m.model.mutable_opset_import(0)->set_version(6); },
     "opset 6 is not supported; 7 to 22 are"},
    {"new opset", [](auto& m) { m.model.mutable_opset_import(0)->set_version(23); },
     "opset 23 is not supported; 7 to 22 are"},
    {"unknown operator", [](auto& m) { relu(m).set_op_type("Relux"); },
     "node 'Relu_y' (Relux, opset 13): operator 'Relux' is not supported; the nearest supported "
     "one is Relu"},
    {"operator of another opset", [](auto& m) { relu(m).set_op_type("HardSwish"); },
     "operator HardSwish is supported at opsets 14 to 22, not at 13"},
    {"operator of another domain", [](auto& m) { relu(m).set_domain("com.example"); },
     "domain 'com.example'"},
    {"unknown attribute", [](auto& m) { set_int(relu(m), "slope", 1); },
     "attribute 'slope' is not supported"},
    {"attribute of a wrong type", [](auto& m) { set_float(conv(m), "group", 1); },
     "attribute 'group' is FLOAT; INT is wanted"},
    {"a name twice", [](auto& m) { m.node("Relu", {"x"}, {"y"}); }, "'y' has a name that is taken"},
    {"an input twice", [](auto& m) { m.input("x", {1}); }, "input 'x' is there twice"},
    {"an initialiser twice", [](auto& m) { m.ints("w", {1}); }, "initialiser 'w' is there twice"},
    {"a short weight", [](auto& m) { weight(m).set_raw_data("1234"); },
     "initialiser 'w': raw_data has 4 bytes where shape 3x2x3x3 of FLOAT needs 216"},
    {"a weight without data", [](auto& m) { weight(m).clear_raw_data(); },
     "0 values where shape 3x2x3x3 needs 54"},
    {"a weight of another shape",
     [](auto& m) {
       weight(m).set_dims(1, 3);
       weight(m).set_dims(0, 2);
     },
     "(Conv, opset 13): conv: "},
    {"a weight of rank 2",
     [](auto& m) {
       m.filled("w2", {3, 2}, 1);
       conv(m).set_input(1, "w2");
     },
     "weight has shape 3x2; Co x Ci/groups x Ky x Kx is wanted"},
    {"a negative extent", [](auto& m) { weight(m).set_dims(0, -3); }, "negative extent -3"},
    {"a huge extent", [](auto& m) { weight(m).set_dims(0, int64_t{1} << 62); }, "more than"},
    {"an integer weight", [](auto& m) { weight(m).set_data_type(onnx::TensorProto::INT32); },
     "(weight) is INT32; only float32 is supported"},
    {"a double weight",
     [](auto& m) {
       weight(m).set_data_type(onnx::TensorProto::DOUBLE);
       weight(m).set_raw_data(std::string(54 * 8, '\0'));
     },
     "(weight) is DOUBLE; only float32 is supported"},
    {"a string weight", [](auto& m) { weight(m).set_data_type(onnx::TensorProto::STRING); },
     "element type STRING is not supported"},
    {"a weight with NaN",
     [](auto& m) { weight(m).mutable_raw_data()->replace(0, 4, std::string("\0\0\xc0\x7f", 4)); },
     "NaN"},
    {"a weight that is computed",
     [](auto& m) {
       m.input("v", {3, 2, 3, 3});
       conv(m).set_input(1, "v");
     },
     "(weight) is computed at run time; it must be a constant"},
    {"a half input",
     [](auto& m) {
       m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(10);
     },
     "input 'x' is FLOAT16; only float32 tensors are supported"},
    {"an input that is no tensor", [](auto& m) { m.graph().mutable_input(0)->clear_type(); },
     "input 'x' is not a tensor"},
    {"a huge input",
     [](auto& m) {
       auto* shape =
           m.graph().mutable_input(0)->mutable_type()->mutable_tensor_type()->mutable_shape();
       for (int d = 0; d < 4; ++d) shape->mutable_dim(d)->set_dim_value(int64_t{1} << 40);
     },
     "input 'x': shape has more than"},
    {"1-D convolution",
     [](auto& m) {
       m.input("line", {1, 2, 4});
       m.filled("w3", {3, 2, 3}, 1);
       conv(m).set_input(0, "line");
       conv(m).set_input(1, "w3");
     },
     "1-D images (input 1x2x4) are not supported"},
    {"a kernel that does not fit",
     [](auto& m) {
       set_ints(conv(m), "dilations", {4, 4});
     },
     "a window of 9 does not fit the rows"},
    {"a stride of 0",
     [](auto& m) {
       set_ints(conv(m), "strides", {0, 1});
     },
     "strides 0 is not in"},
    {"pads of a wrong length",
     [](auto& m) {
       set_ints(conv(m), "pads", {1, 1});
     },
     "attribute 'pads' has 2 entries; 4 are wanted"},
    {"huge pads",
     [](auto& m) {
       set_ints(conv(m), "pads", {INT64_MAX, 0, 0, 0});
     },
     "attribute 'pads'"},
    {"groups that do not divide", [](auto& m) { set_int(conv(m), "group", 2); }, "groups"},
    {"an unknown auto_pad", [](auto& m) { set_string(conv(m), "auto_pad", "SOME"); },
     "attribute 'auto_pad' is 'SOME'; NOTSET, VALID, SAME_UPPER, SAME_LOWER are supported"},
    {"too few inputs", [](auto& m) { relu(m).clear_input(); }, "input 0 is missing"},
    {"used indices of a pool",
     [](auto& m) {
       auto& pool = m.node("MaxPool", {"a"}, {"p", "indices"});
       set_ints(pool, "kernel_shape", {1, 1});
       m.output("indices");
     },
     "its Indices output is used"},
    {"a reshape that does not fit",
     [](auto& m) {
       m.ints("target", {7, -1});
       m.node("Reshape", {"x", "target"}, {"r"});
       m.output("r");
     },
     "input 1x2x4x4 does not reshape to 7x-1"},
    {"a reshape by data",
     [](auto& m) {
       m.input("target", {1});
       m.node("Reshape", {"x", "target"}, {"r"});
       m.output("r");
     },
     "(shape) depends on data at run time"},
    {"a huge constant",
     [](auto& m) {
       m.ints("size", {1 << 30, 1 << 30});
       m.node("ConstantOfShape", {"size"}, {"c"});
       m.output("c");
     },
     "more than"},
    {"a huge expansion",
     [](auto& m) {
       m.ints("size", {100000, 100000});
       m.node("Expand", {"b", "size"}, {"c"});
       m.output("c");
     },
     "more than"},
    {"an endless range",
     [](auto& m) {
       m.ints("start", {0});
       m.ints("delta", {0});
       m.node("Range", {"start", "start", "delta"}, {"r"});
       set_int(m.node("Cast", {"r"}, {"c"}), "to", 1);
       m.output("c");
     },
     "make no list of numbers"},
    {"integer division by zero",
     [](auto& m) {
       m.ints("i", {1});
       m.ints("zero", {0});
       m.node("Div", {"i", "zero"}, {"q"});
       set_int(m.node("Cast", {"q"}, {"c"}), "to", 1);
       m.output("c");
     },
     "integer division by zero"},
    {"an integer output",
     [](auto& m) {
       m.node("Shape", {"x"}, {"s"});
       m.output("s");
     },
     "output 's' is INT64; only float32 is supported"},
    {"linear resize",
     [](auto& m) {
       m.floats("scales", {4}, {1, 1, 2, 2});
       set_string(m.node("Resize", {"x", "", "scales"}, {"r"}), "mode", "linear");
       m.output("r");
     },
     "attribute 'mode' is 'linear'; nearest is supported"},
    {"training batch norm",
     [](auto& m) {
       auto& node = m.node("BatchNormalization", {"a", "b", "b", "b", "b"}, {"n", "mean"});
       m.output("n");
       m.output("mean");
       (void)node;
     },
     "output 1 is used; only inference is supported"},
    {"product of two values",
     [](auto& m) {
       m.node("MatMul", {"x", "x"}, {"p"});
       m.output("p");
     },
     "(B) is computed at run time; it must be a constant"},
};

TEST(BadInput, TheModelIsGoodUntilItIsSpoiled) {
  EXPECT_EQ(error_of(good_model().bytes()), "no error");
}

TEST(BadInput, EachFaultIsNamedInOneLine) {
  for (const BadModel& bad : k_bad_models) {
    ModelBuilder m = good_model();
    bad.spoil(m);
    const std::string message = error_of(m.bytes());
    EXPECT_NE(message.find(bad.expected), std::string::npos) << bad.name << ": " << message;
    EXPECT_TRUE(message.starts_with("folder/bad.onnx: ")) << bad.name << ": " << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << bad.name;
  }
}

TEST(BadInput, FilesThatAreNoModels) {
  const std::string model = good_model().bytes();
  EXPECT_EQ(error_of(""), "folder/bad.onnx: the file is empty");
  EXPECT_NE(error_of("version https://git-lfs.github.com/spec/v1").find("not an ONNX model"),
            std::string::npos);
  EXPECT_NE(error_of(std::string(100, '\xff')).find("not an ONNX model"), std::string::npos);
  for (size_t length = 1; length < model.size(); ++length) {
    EXPECT_NE(error_of(model.substr(0, length)), "no error") << length;
  }
}

TEST(BadInput, ShapesThatDoNotGoWithTheInputs) {
  const std::string model = good_model().bytes();
  const std::pair<ImportOptions, const char*> cases[] = {
      {{{{"image", {1, 2, 4, 4}}}}, "there is no input 'image'; the inputs are: x"},
      {{{{"x", {1, 2, 4}}}}, "input 'x' has rank 4, the shape 1x2x4 given for it 3"},
      {{{{"x", {1, 2, 0, 4}}}}, "is empty"},
      {{{{"x", {1, 2, -4, 4}}}}, "negative extent"},
      {{{{"x", {1, 5, 4, 4}}}}, "Conv"},
      {{{{"x", {1, 2, 2, 2}}}}, "does not fit"},
  };
  for (const auto& [options, expected] : cases) {
    const auto network = import_onnx_bytes(model, "bad.onnx", options);
    ASSERT_FALSE(network.ok());
    EXPECT_NE(network.error().message.find(expected), std::string::npos) << network.error().message;
  }
}

TEST(BadInput, AMissingFileIsNamed) {
  const auto network = import_onnx("no/such/file.onnx");
  ASSERT_FALSE(network.ok());
  EXPECT_NE(network.error().message.find("no/such/file.onnx"), std::string::npos);
}

// Every row is reachable, rows of one operator do not overlap, and each explains itself.
TEST(OpTable, RowsOfAnOperatorCoverDisjointOpsets) {
  for (const OpRow& row : op_table()) {
    EXPECT_LE(row.first, row.last) << row.name;
    EXPECT_NE(*row.sentence, '\0') << row.name;
    for (int opset = row.first; opset <= row.last; ++opset) {
      const auto found = find_op(row.name, opset);
      ASSERT_TRUE(found.ok());
      EXPECT_EQ(*found, &row) << row.name << " at " << opset;
    }
  }
}

}  // namespace
}  // namespace emulsion
