// emulsion transform: the file is valid ONNX, computes what we say, and has a plan that fits it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/npy.h"
#include "nest/rewrite.h"
#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/import.h"
#include "plan/plan.h"
#include "simplify/simplify.h"
#include "tests/cli/program.h"
#include "tests/nest/tiny_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

// One network in a folder of its own, with a plan that rewrites its first slots, and images.
struct Workplace {
  explicit Workplace(const Network& network) : original(network) {
    EXPECT_TRUE(export_onnx(network, model()).ok());
    const Network simplified = simplify(network);
    plan.network = structure_hash(simplified);
    const std::vector<std::string> rewrites{"bottleneck co 2", "group 4"};
    const std::vector<int> all = slots(network);
    for (size_t i = 0; i < std::min(rewrites.size(), all.size()); ++i) {
      const int layer = conv_layers(simplified)[all[i]];
      plan.layers.push_back({all[i],
                             simplified.layers[layer].name,
                             shape_hint(simplified, layer),
                             *parse_steps(rewrites[i]),
                             {}});
      plan.layers.back().kernels.assign(i == 0 ? 2 : 1, {"direct", ""});
    }
    EXPECT_TRUE(write_file(plan_file(), to_json(plan)).ok());
    const Tensor images = seeded_tensor({8, 3, 6, 6}, 3);
    EXPECT_TRUE(write_npy(data(), images.shape, images.data).ok());
  }

  std::string file(const char* name) const { return (folder.path() / name).string(); }
  std::string model() const { return file("m.onnx"); }
  std::string plan_file() const { return file("p.json"); }
  std::string data() const { return file("images.npy"); }
  std::string output() const { return file("t.onnx"); }
  ProcessResult transform(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments{"transform", model(), "--plan", plan_file(), "-o", output()};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return run_emulsion(arguments);
  }

  Network original;
  Plan plan;
  TemporaryDirectory folder;
};

// onnx's checker passes the file, and ONNX Runtime computes what the plain reference does.
void expect_valid(const Workplace& place) {
  constexpr const char* k_script = R"(
import sys, numpy as np, onnx, onnxruntime
model, images, output = sys.argv[1:]
onnx.checker.check_model(onnx.load(model), full_check=True)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
x = np.load(images)[:1]
np.save(output, session.run(None, {session.get_inputs()[0].name: x})[0])
)";
  const ProcessResult result =
      run_python(k_script, {place.output(), place.data(), place.file("y.npy")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Npy images = *read_npy(place.data()), theirs = *read_npy(place.file("y.npy"));
  const Result<Network> network = import_onnx(place.output());
  ASSERT_TRUE(network.ok()) << network.error().message;
  const Tensor x({1, 3, 6, 6},
                 std::vector<float>(images.values.begin(), images.values.begin() + 108));
  const Tensor ours = (*evaluate(*network, {x}))[0];
  ASSERT_EQ(ours.shape, theirs.shape);
  for (size_t i = 0; i < ours.data.size(); ++i) EXPECT_NEAR(ours.data[i], theirs.values[i], 1e-4);
}

void expect_plan_fits(const Workplace& place) {
  const Result<Plan> plan = parse_plan(*read_file(place.file("t.plan.json")), "t.plan.json");
  ASSERT_TRUE(plan.ok()) << plan.error().message;
  const Status fits = check(*plan, simplify(*import_onnx(place.output())));
  EXPECT_TRUE(fits.ok()) << fits.error().message;
  EXPECT_TRUE(rewrites(*plan).empty());
  size_t kernels = 0;
  for (const LayerChoice& layer : place.plan.layers) kernels += layer.kernels.size();
  EXPECT_EQ(plan->layers.size(), kernels);
}

TEST(Transform, WritesAValidNetworkAndItsPlanForEveryTinyNetwork) {
  for (const Network& network : tiny_networks()) {
    SCOPED_TRACE(network.name);
    const Workplace place(network);
    for (const bool with_data : {false, true}) {
      const ProcessResult result =
          with_data ? place.transform({"--data", place.data()}) : place.transform();
      ASSERT_EQ(result.exit_code, 0) << result.errors;
      EXPECT_THAT(result.output, HasSubstr("convs rewritten"));
      EXPECT_THAT(result.output, HasSubstr(with_data ? "batch norms set from" : "without --data"));
      expect_valid(place);
      expect_plan_fits(place);
      EXPECT_LT(multiplies(*import_onnx(place.output())), multiplies(place.original));
    }
  }
}

TEST(Transform, WritesTheSameNetworkForPytorch) {
  constexpr const char* k_script = R"(
import importlib.util, sys
import numpy as np, onnxruntime
try:
    import torch
except ImportError:
    sys.exit(77)
model, images = sys.argv[1:]
spec = importlib.util.spec_from_file_location("t", model.replace(".onnx", ".py"))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
assert {i.name: tuple(i.shape) for i in session.get_inputs()} == module.INPUTS
assert {o.name: tuple(o.shape) for o in session.get_outputs()} == module.OUTPUTS
x = np.load(images)
expected = np.concatenate([session.run(None, {session.get_inputs()[0].name: x[i:i + 1]})[0] for i in range(3)])
with torch.no_grad():
    got = module.load()(torch.from_numpy(x[:3])).numpy()
np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4)
)";
  for (const Network& network : tiny_networks()) {
    SCOPED_TRACE(network.name);
    const Workplace place(network);
    const ProcessResult result =
        place.transform({"--data", place.data(), "--pytorch", place.file("t.py")});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    const ProcessResult same = run_python(k_script, {place.output(), place.data()});
    if (same.exit_code == 77) GTEST_SKIP() << "no PyTorch";
    EXPECT_EQ(same.exit_code, 0) << same.errors;
  }
}

TEST(Transform, PutsBackANormThatWasFoldedAwayOnlyWithData) {
  const Workplace place(tiny_folded());
  const auto norms = [&] {
    int count = 0;
    const Network network = *import_onnx(place.output());
    for (const Layer& layer : network.layers) {
      count += std::holds_alternative<BatchNorm>(layer.op);
    }
    return count;
  };
  ASSERT_EQ(place.transform().exit_code, 0);
  EXPECT_EQ(norms(), 0);
  ASSERT_EQ(place.transform({"--data", place.data()}).exit_code, 0);
  EXPECT_EQ(norms(), 2);
}

TEST(Transform, RefusesInOneLineAndWritesNothing) {
  const Workplace place(tiny_residual());
  const Workplace other(tiny_plain());
  expect_refusal(
      run_emulsion({"transform", other.model(), "--plan", place.plan_file(), "-o", other.output()}),
      "the plan is for another network");
  EXPECT_FALSE(std::filesystem::exists(other.output()));
  const std::string unknown = (std::filesystem::path(other.output()).parent_path() / "u.json");
  ASSERT_TRUE(write_file(unknown, R"({"format": "emulsion-plan-1", "network": "", "layers": [
      {"conv": 0, "kernels": [{"algorithm": "magic"}]}]})")
                  .ok());
  expect_refusal(
      run_emulsion({"transform", other.model(), "--plan", unknown, "-o", other.output()}),
      "conv 0: no algorithm is called 'magic'; there are: depthwise");
  EXPECT_FALSE(std::filesystem::exists(other.output()));
  expect_refusal(
      run_emulsion({"transform", place.model(), "--plan", "nowhere.json", "-o", place.output()}),
      "nowhere.json");
  ASSERT_TRUE(write_npy(place.file("bad.npy"), {8, 3, 5, 6}, std::vector<float>(720)).ok());
  expect_refusal(place.transform({"--data", place.file("bad.npy")}),
                 "the images have shape 8x3x5x6");
  ASSERT_TRUE(write_file(place.file("p.json"), "{\"format\": \"emulsion-plan-1\"").ok());
  expect_refusal(place.transform(), "p.json: not JSON");
  EXPECT_FALSE(std::filesystem::exists(place.output()));
  EXPECT_FALSE(std::filesystem::exists(place.file("t.plan.json")));
  const ProcessResult unwritable =
      run_emulsion({"transform", other.model(), "--plan", other.plan_file(), "-o",
                    other.file("no/such/t.onnx")});
  expect_refusal(unwritable, "no/such");
  // Neither the model nor the plan is overwritten: T.plan.json goes beside T.onnx.
  expect_refusal(
      run_emulsion({"transform", other.model(), "--plan", other.plan_file(), "-o", other.model()}),
      "is an input and would be overwritten");
  expect_refusal(other.transform({"--pytorch", other.file("t.txt")}), "must end in .py");
  expect_refusal(other.transform({"--pytorch", other.file("no/such/t.py")}), "no/such");
  const std::string plan = other.file("t.plan.json");
  ASSERT_TRUE(write_file(plan, *read_file(other.plan_file())).ok());
  expect_refusal(run_emulsion({"transform", other.model(), "--plan", plan, "-o", other.output()}),
                 "t.plan.json: is an input and would be overwritten");
  EXPECT_EQ(*read_file(plan), *read_file(other.plan_file()));
}

}  // namespace
}  // namespace emulsion
