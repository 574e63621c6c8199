#include <nlohmann/json.hpp>

#include "network/evaluate.h"
#include "plan/plan.h"
#include "simplify/simplify.h"
#include "verb_test.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class VerifyTest : public VerbTest {
 protected:
  // Without Python, for what has nothing to do with it.
  ProcessResult verify(const std::string& file, std::vector<std::string> more = {}) const {
    more.insert(more.begin(), {"verify", file, "--python", "/nonexistent/python"});
    return compiling(std::move(more));
  }
};

// A TensorProto by hand: dims, data_type FLOAT, raw_data.
std::string tensor_proto(const Tensor& tensor) {
  const auto varint = [](uint64_t value) {
    std::string bytes;
    for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
    return bytes + static_cast<char>(value);
  };
  std::string bytes;
  for (const int64_t extent : tensor.shape) bytes += '\x08' + varint(extent);
  bytes += "\x10\x01";
  const size_t size = tensor.data.size() * sizeof(float);
  bytes += '\x4a' + varint(size);
  return bytes + std::string(reinterpret_cast<const char*>(tensor.data.data()), size);
}

TEST_F(VerifyTest, a_compiled_network_agrees_with_the_reference) {
  const auto result = verify(model(small_network()));
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("plain reference"));
  EXPECT_THAT(result.output, HasSubstr("ONNX Runtime: not installed"));
}

TEST_F(VerifyTest, onnx_runtime_is_asked_where_python_has_it) {
  const auto probe = run_process({EMULSION_PYTHON, "-c", "import onnxruntime"});
  if (!probe.ok() || probe->exit_code != 0) GTEST_SKIP() << "no onnxruntime";
  const auto result =
      compiling({"verify", model(small_network()), "--python", EMULSION_PYTHON, "--json"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  ASSERT_EQ(json["comparisons"].size(), 2u);
  EXPECT_THAT(json["comparisons"][1]["oracle"].get<std::string>(), HasSubstr("ONNX Runtime"));
  EXPECT_EQ(json["comparisons"][1]["holds"], true) << result.output;
}

TEST_F(VerifyTest, expected_outputs_decide) {
  const Network network = small_network();
  const Tensor x = noise({1, 3, 8, 8}, 9);
  Tensor y = must(evaluate(network, {x}))[0];
  const std::string file = model(network), x_file = npy(x, "x.npy");
  EXPECT_EQ(verify(file, {"--input", x_file, "--expect", npy(y, "y.npy")}).exit_code, 0);
  y.data[2] += 1;
  const auto wrong = verify(file, {"--input", x_file, "--expect", npy(y, "wrong.npy")});
  EXPECT_EQ(wrong.exit_code, 1);
  EXPECT_THAT(wrong.output, HasSubstr("DIFFERS"));
  EXPECT_THAT(wrong.errors, HasSubstr("wrong.npy"));
}

TEST_F(VerifyTest, the_tolerance_is_the_callers) {
  EXPECT_EQ(verify(model(small_network()), {"--tolerance", "0"}).exit_code, 1);
}

TEST_F(VerifyTest, an_onnx_test_data_set_is_read) {
  const Network network = small_network();
  const Tensor x = noise({1, 3, 8, 8}, 9);
  Tensor y = must(evaluate(network, {x}))[0];
  must(make_directory(path("data")));
  text(tensor_proto(x), "data/input_0.pb");
  text(tensor_proto(y), "data/output_0.pb");
  const auto result = verify(model(network), {"--data", path("data")});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr(path("data")));
  y.data[0] += 1;
  text(tensor_proto(y), "data/output_0.pb");
  EXPECT_EQ(verify(model(network), {"--data", path("data")}).exit_code, 1);
  text("\xff\xff\xff", "data/output_0.pb");
  expect_refusal(verify(model(network), {"--data", path("data")}), "output_0.pb");
}

TEST_F(VerifyTest, every_layer_is_held_to_its_algorithms_bound) {
  const auto result = verify(model(small_network()), {"--layers"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  for (const char* layer : {"first", "second", "third", "classes", "direct"}) {
    EXPECT_THAT(result.output, HasSubstr(layer));
  }
}

TEST_F(VerifyTest, under_a_rewriting_plan_the_rewritten_network_is_the_reference) {
  const Network network = small_network();
  const Network simplified = simplify(network);
  Plan plan;
  plan.network = structure_hash(simplified);
  plan.layers = {{1,
                  "second",
                  shape_hint(simplified, conv_layers(simplified)[1]),
                  must(parse_steps("group 2")),
                  {}}};
  const auto result = verify(model(network), {"--plan", text(to_json(plan), "p.json"), "--layers"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  const auto without = verify(model(network));
  EXPECT_NE(result.output, without.output);
}

TEST_F(VerifyTest, inputs_that_contradict_each_other_are_refused) {
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  expect_refusal(verify(model(small_network()), {"--expect", x}), "--input");
  EXPECT_EQ(verify(model(small_network()), {"--data", path(""), "--input", x}).exit_code, 2);
  expect_refusal(verify(model(small_network()), {"--tolerance", "nan"}), "is not a number");
  expect_refusal(verify(model(small_network()), {"--seed", "-1"}), "is not a whole number");
}

}  // namespace
}  // namespace emulsion
