// ONNX's own node tests: every case of every operator that import knows, imported, evaluated by the
// plain reference, and compared with the expected output. docs/onnx_node_tests.md lists what passes
// and what is skipped and why; EMULSION_UPDATE_GOLDEN=1 rewrites it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include "base/file.h"
#include "base/process.h"
#include "network/evaluate.h"
#include "onnx/import.h"
#include "onnx/load_tensor.h"
#include "onnx/op_table.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

const fs::path k_debian_data = "/usr/share/libonnx-testdata/data/node";
const fs::path k_table = fs::path(EMULSION_SOURCE_DIR) / "docs" / "onnx_node_tests.md";

// How many leading inputs are images, fed at run time; the rest are baked in as initialisers, as
// real models have them. Operators that are not here take all their inputs at run time. -1: a test
// of shape arithmetic.
const std::map<std::string, int> k_data_inputs = {{"Conv", 1},       {"BatchNormalization", 1},
                                                  {"Gemm", 1},       {"MatMul", 1},
                                                  {"PRelu", 1},      {"Clip", 1},
                                                  {"Reshape", 1},    {"Resize", 1},
                                                  {"Upsample", 1},   {"Squeeze", 1},
                                                  {"Unsqueeze", 1},  {"Slice", 1},
                                                  {"Split", 1},      {"Pad", 1},
                                                  {"ReduceMean", 1}, {"Gather", 1},
                                                  {"Dropout", 1},    {"ConstantOfShape", 0},
                                                  {"Range", 0},      {"Expand", 0},
                                                  {"Where", 0},      {"Equal", 0},
                                                  {"Floor", 0},      {"Ceil", 0},
                                                  {"ReduceProd", 0}, {"Cast", 0}};

// Expected values that ONNX's case gives with a few digits only, and what difference that makes.
const std::map<std::string, float> k_rounded = {
    {"test_averagepool_2d_ceil_last_window_starts_on_pad", 2e-4f}};

// Operators whose integer tests are run with the same numbers as float32.
const std::set<std::string> k_number_blind = {"Pad", "MaxPool"};

struct CaseResult {
  std::string test, op, source;
  int opset = 0;
  std::string skipped;  // why, or empty
  std::string failed;   // what is wrong, or empty
};

template <class Message>
Message read_message(const fs::path& path) {
  Message message;
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(message.ParseFromIstream(&in)) << path;
  return message;
}

// A float output is left alone; any other is cast to float32 by an extra node, so that shape
// arithmetic shows.
void cast_outputs(onnx::GraphProto& graph) {
  for (auto& output : *graph.mutable_output()) {
    auto* type = output.mutable_type()->mutable_tensor_type();
    if (type->elem_type() == onnx::TensorProto::FLOAT) continue;
    auto* node = graph.add_node();
    node->set_op_type("Cast");
    node->add_input(output.name());
    node->add_output(output.name() + "_as_float");
    auto* to = node->add_attribute();
    to->set_name("to");
    to->set_type(onnx::AttributeProto::INT);
    to->set_i(onnx::TensorProto::FLOAT);
    output.set_name(output.name() + "_as_float");
    type->set_elem_type(onnx::TensorProto::FLOAT);
  }
}

Tensor to_tensor(const Known& known) {
  const Known f = cast(known, onnx::TensorProto::FLOAT);
  return {f.shape, f.floats->data};
}

// The largest difference must stay below `tolerance` of the largest expected value.
std::string difference(const Tensor& got, const Tensor& expected, float tolerance) {
  if (got.shape != expected.shape) {
    return fmt::format("shape {} where {} is expected", to_text(got.shape),
                       to_text(expected.shape));
  }
  float largest = 1e-3f, worst = 0;
  for (size_t i = 0; i < got.data.size(); ++i) {
    largest = std::max(largest, std::abs(expected.data[i]));
    const float d = std::abs(got.data[i] - expected.data[i]);
    worst = std::isnan(d) ? INFINITY : std::max(worst, d);
  }
  return worst <= tolerance * largest ? "" : fmt::format("differs by {} of {}", worst, largest);
}

// The message behind the file's name and the node's title.
std::string reason(std::string message, const fs::path& path) {
  if (message.starts_with(path.string() + ": ")) message.erase(0, path.string().size() + 2);
  const size_t title = message.find("): ");
  return title == std::string::npos ? message : message.substr(title + 3);
}

// Turns all graph inputs from data_inputs on, and all that are not float32, into initialisers.
Result<std::vector<Tensor>> bake_inputs(onnx::GraphProto& graph, const fs::path& data,
                                        int data_inputs, bool as_floats) {
  std::vector<Tensor> fed;
  for (int i = 0; i < graph.input_size(); ++i) {
    auto tensor = read_message<onnx::TensorProto>(data / fmt::format("input_{}.pb", i));
    tensor.set_name(graph.input(i).name());
    auto* type = graph.mutable_input(i)->mutable_type()->mutable_tensor_type();
    if (as_floats && i < data_inputs) type->set_elem_type(onnx::TensorProto::FLOAT);
    if (i < data_inputs && type->elem_type() == onnx::TensorProto::FLOAT) {
      auto known = load_tensor(tensor, data);
      if (!known.ok()) return known.error();
      fed.push_back(to_tensor(*known));
    } else {
      *graph.add_initializer() = tensor;
    }
  }
  return fed;
}

CaseResult run_case(const fs::path& folder, const std::string& source) {
  auto model = read_message<onnx::ModelProto>(folder / "model.onnx");
  auto& graph = *model.mutable_graph();
  CaseResult result{folder.filename(), graph.node(0).op_type(), source};
  for (auto& opset : *model.mutable_opset_import()) {
    if (!opset.domain().empty()) continue;
    result.opset = static_cast<int>(opset.version());
    // Operators that no opset has changed since 7 or before carry the number of their first one.
    opset.set_version(std::max(result.opset, k_first_opset));
  }
  const fs::path data = folder / "test_data_set_0";
  std::vector<Tensor> expected;
  for (int i = 0; i < graph.output_size(); ++i) {
    const auto tensor = read_message<onnx::TensorProto>(data / fmt::format("output_{}.pb", i));
    auto known = load_tensor(tensor, data);
    if (!known.ok()) {
      result.skipped = known.error().message;
      return result;
    }
    expected.push_back(to_tensor(*known));
  }
  const bool as_floats = k_number_blind.contains(result.op);
  const auto entry = k_data_inputs.find(result.op);
  auto fed =
      bake_inputs(graph, data, entry == k_data_inputs.end() ? 1000 : entry->second, as_floats);
  if (!fed.ok()) {
    result.skipped = fed.error().message;
    return result;
  }
  cast_outputs(graph);
  const fs::path path = folder / "model.onnx";
  const auto network = import_onnx_bytes(model.SerializeAsString(), path);
  if (!network.ok()) {
    result.skipped = reason(network.error().message, path);
    return result;
  }
  const auto outputs = evaluate(*network, *fed);
  if (!outputs.ok()) {
    result.failed = outputs.error().message;
    return result;
  }
  float tolerance = 1e-5f;
  for (const auto& [test, rounded] : k_rounded) {
    if (result.test.starts_with(test)) tolerance = rounded;
  }
  for (size_t i = 0; i < expected.size() && result.failed.empty(); ++i) {
    result.failed = difference((*outputs)[i], expected[i], tolerance);
  }
  return result;
}

// The cases in a folder whose one node is an operator of the table.
std::vector<CaseResult> run_folder(const fs::path& folder, const std::string& source) {
  std::set<std::string> ops;
  for (const OpRow& row : op_table()) ops.insert(row.name);
  std::vector<fs::path> cases;
  for (const auto& entry : fs::directory_iterator(folder)) cases.push_back(entry.path());
  std::sort(cases.begin(), cases.end());
  std::vector<CaseResult> results;
  for (const fs::path& path : cases) {
    const auto model = read_message<onnx::ModelProto>(path / "model.onnx");
    const auto& graph = model.graph();
    if (graph.node_size() != 1 || !graph.node(0).domain().empty()) continue;
    if (!ops.contains(graph.node(0).op_type())) continue;
    // CastLike's tests, written with Cast.
    if (path.filename().string().starts_with("test_castlike")) continue;
    const bool tensors = std::all_of(
        graph.input().begin(), graph.input().end(),
        [](const onnx::ValueInfoProto& input) { return input.type().has_tensor_type(); });
    if (tensors) results.push_back(run_case(path, source));
  }
  return results;
}

std::string table_text(const std::vector<CaseResult>& results) {
  std::map<std::string, std::pair<int, int>> by_source;
  for (const CaseResult& r : results) {
    auto& [passed, skipped] = by_source[r.source];
    ++(r.skipped.empty() ? passed : skipped);
  }
  std::string text =
      "# ONNX's node tests\n\n"
      "Every node test of the operators that import knows. Generated by tests/onnx/node_test.cpp; "
      "run it with\n"
      "EMULSION_UPDATE_GOLDEN=1 to rewrite this file. Inputs that real models hold as constants "
      "(weights,\n"
      "shapes, axes) are baked in as initialisers; outputs of other types than float32 are cast to "
      "it.\n\n";
  for (const auto& [source, counts] : by_source) {
    text += fmt::format("- {}: {} pass, {} skipped\n", source, counts.first, counts.second);
  }
  text += "\n| test | operator | opset | result |\n|---|---|---|---|\n";
  std::string last;  // the row before, without its opset: the same result at two opsets is one row
  for (const CaseResult& r : results) {
    const std::string test = r.test.substr(0, r.test.rfind("_opset"));
    const std::string end = r.skipped.empty() ? "pass" : "skipped: " + r.skipped;
    const std::string row = fmt::format("{} | {} | {}", test, r.op, end);
    if (row == last) {
      text.insert(text.rfind(" | " + end), fmt::format(", {}", r.opset));
    } else {
      text += fmt::format("| {} | {} | {} | {} |\n", test, r.op, r.opset, end);
    }
    last = row;
  }
  return text;
}

TEST(OnnxNodeTests, EachPassesOrIsSkippedForAReasonThatTheTableGives) {
  const TemporaryDirectory temporary;
  std::vector<std::string> command{
      EMULSION_PYTHON, EMULSION_SOURCE_DIR "/tests/onnx/generate_node_tests.py", temporary.path()};
  std::set<std::string> ops;
  for (const OpRow& row : op_table()) ops.insert(row.name);
  command.insert(command.end(), ops.begin(), ops.end());
  const auto generated = run_process(command);
  ASSERT_TRUE(generated.ok()) << generated.error().message;
  ASSERT_EQ(generated->exit_code, 0) << generated->errors;

  std::vector<CaseResult> results =
      run_folder(k_debian_data, "opset 17 and older (Debian's libonnx-testdata)");
  const std::vector<CaseResult> newer =
      run_folder(temporary.path(), "opset 18 to 22 (PyPI's onnx)");
  EXPECT_GT(results.size(), 150u);
  EXPECT_GT(newer.size(), 200u);
  results.insert(results.end(), newer.begin(), newer.end());
  for (const CaseResult& r : results) EXPECT_EQ(r.failed, "") << r.test;

  const std::string text = table_text(results);
  if (std::getenv("EMULSION_UPDATE_GOLDEN") != nullptr) {
    ASSERT_TRUE(write_file(k_table, text).ok());
  }
  const auto written = read_file(k_table);
  ASSERT_TRUE(written.ok()) << written.error().message;
  EXPECT_EQ(*written, text)
      << "run this test with EMULSION_UPDATE_GOLDEN=1 and look at the difference";
}

}  // namespace
}  // namespace emulsion
