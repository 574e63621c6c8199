// The whole round: explore, transform, fine-tune in PyTorch, export, compile with the plan, run.
#include "../autoschedule/block_network.h"
#include "onnx/import.h"
#include "plan/plan.h"
#include "simplify/simplify.h"
#include "verb_test.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* k_onnx_runtime = R"(
import sys, numpy as np, onnxruntime
model, image, output = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
np.save(output, session.run(None, {session.get_inputs()[0].name: np.load(image)})[0])
)";

constexpr const char* k_pytorch = R"(
import importlib.util, sys, numpy as np
try:
    import torch
except ImportError:
    sys.exit(77)
source, image, output = sys.argv[1:]
spec = importlib.util.spec_from_file_location("t", source)
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
with torch.no_grad():
    np.save(output, module.load()(torch.from_numpy(np.load(image))).numpy())
)";

class RoundTest : public VerbTest {
 protected:
  // The plan of the largest speed-up that explore found; whether one was fast enough is up to the
  // clock, so there is one to fall back on.
  std::string explored_plan(const std::string& file, const Network& network) const {
    const auto result = compiling({"explore", file, "-o", path("found"), "--data",
                                   path("images.npy"), "--labels", path("labels.npy"), "--slots",
                                   "^a1|^b2", "--rewrites", "^group 2$|^bottleneck co 2$", "--ways",
                                   "1", "--target-speedup", "1.05", "--legality", "none"});
    EXPECT_THAT(result.exit_code, ::testing::AnyOf(0, 1)) << result.errors;
    std::vector<std::string> plans;
    for (const auto& entry : fs::directory_iterator(path("found/plans"))) {
      if (entry.path().filename() != "same.json") plans.push_back(entry.path().string());
    }
    std::sort(plans.begin(), plans.end());
    if (!plans.empty()) return plans.back();
    const Network simplified = simplify(network);
    Plan plan{structure_hash(simplified), "", 1, {}};
    plan.layers.push_back({1, "a1", "", must(parse_steps("group 2")), {}});
    return text(to_json(plan), "by_hand.json");
  }

  void write_task() const {
    constexpr const char* k_script = R"(
import sys, numpy as np
rng = np.random.default_rng(0)
labels = rng.integers(0, 4, 64)
images = rng.standard_normal((64, 3, 8, 8)).astype(np.float32) * 0.3 + labels.reshape(-1, 1, 1, 1).astype(np.float32)
np.save(sys.argv[1], images)
np.save(sys.argv[2], labels)
np.save(sys.argv[3], images[:1])
)";
    const auto result =
        run_python(k_script, {path("images.npy"), path("labels.npy"), path("one.npy")});
    ASSERT_EQ(result.exit_code, 0) << result.errors;
  }

  // The file with ONNX Runtime's output for the image.
  std::string onnx_runtime(const std::string& file) const {
    const std::string output = file + ".npy";
    const auto result = run_python(k_onnx_runtime, {file, path("one.npy"), output});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return output;
  }

  static void expect_equal(const std::string& ours, const std::string& theirs) {
    const Npy a = must(read_npy(ours)), b = must(read_npy(theirs));
    EXPECT_EQ(a.shape, b.shape);
    EXPECT_LT(largest_difference(a.values, {b.values.begin(), b.values.end()}), 1e-4);
  }
};

TEST_F(RoundTest, explore_transform_finetune_export_compile_run) {
  const Network network = testing::block_network(16, 8);
  const std::string file = model(network);
  write_task();
  const std::string plan = explored_plan(file, network);

  const auto transformed =
      run_emulsion({"transform", file, "--plan", plan, "--data", path("images.npy"), "-o",
                    path("t.onnx"), "--pytorch", path("t.py")});
  ASSERT_EQ(transformed.exit_code, 0) << transformed.errors;
  EXPECT_THAT(transformed.output, HasSubstr("the same network in PyTorch"));
  const auto torch = run_python(k_pytorch, {path("t.py"), path("one.npy"), path("torch.npy")});
  if (torch.exit_code == 77) GTEST_SKIP() << "no PyTorch";
  ASSERT_EQ(torch.exit_code, 0) << torch.errors;
  expect_equal(path("torch.npy"), onnx_runtime(path("t.onnx")));

  const auto tuned =
      run_or_fail({EMULSION_PYTHON, EMULSION_SOURCE_DIR "/examples/finetune.py", path("t.py"),
                   "--images", path("images.npy"), "--labels", path("labels.npy"), "--epochs", "4",
                   "--batch", "16", "-o", path("tuned.onnx")});
  ASSERT_EQ(tuned.exit_code, 0) << tuned.errors;
  EXPECT_THAT(tuned.output, HasSubstr("epoch 4: loss"));

  // Training changed the weights and left the structure, so that the plan fits.
  const Network before = simplify(must(import_onnx(path("t.onnx"))));
  const Network after = simplify(must(import_onnx(path("tuned.onnx"))));
  EXPECT_EQ(structure_hash(after), structure_hash(before)) << to_text(after) << to_text(before);
  const auto compiled = compiling({"compile", path("tuned.onnx"), "--plan", path("t.plan.json"),
                                   "-o", path("lib"), "--name", "tuned"});
  ASSERT_EQ(compiled.exit_code, 0) << compiled.errors;
  EXPECT_TRUE(fs::exists(path("lib/tuned.a")));
  const auto ran = compiling({"run", path("tuned.onnx"), "--plan", path("t.plan.json"), "--input",
                              path("one.npy"), "--output", path("ours.npy")});
  ASSERT_EQ(ran.exit_code, 0) << ran.errors;
  expect_equal(path("ours.npy"), onnx_runtime(path("tuned.onnx")));
}

}  // namespace
}  // namespace emulsion
