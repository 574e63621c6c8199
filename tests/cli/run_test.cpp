#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cmath>
#include <thread>

#include "network/evaluate.h"
#include "plan/plan.h"
#include "verb_test.h"

namespace emulsion {
namespace {

class RunTest : public VerbTest {
 protected:
  ProcessResult run(const std::string& model_path, const std::string& input,
                    const std::string& output) const {
    return compiling({"run", model_path, "--input", input, "--output", output});
  }
};

TEST_F(RunTest, the_output_is_the_references) {
  const Network network = small_network();
  const Tensor x = noise({1, 3, 8, 8}, 9);
  const auto result = run(model(network), npy(x, "x.npy"), path("y.npy"));
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const Npy y = must(read_npy(path("y.npy")));
  const Tensor expected = must(evaluate(network, {x}))[0];
  EXPECT_EQ(y.shape, expected.shape);
  EXPECT_LT(largest_difference(y.values, expected.data), 1e-4);
}

TEST_F(RunTest, several_inputs_and_outputs_go_by_name) {
  Network network;
  network.name = "pair";
  const ValueId a = network.add_value("a", {1, 2, 3, 3}), b = network.add_value("b", {1, 2, 3, 3});
  network.inputs = {a, b};
  const ValueId sum = network.add_layer("sum", Binary{Binary::Kind::add, std::nullopt}, {a, b});
  const ValueId difference =
      network.add_layer("difference", Binary{Binary::Kind::sub, std::nullopt}, {a, b});
  network.values[sum].name = "sum";
  network.values[difference].name = "difference";
  network.outputs = {sum, difference};
  const Tensor at = noise({1, 2, 3, 3}, 1), bt = noise({1, 2, 3, 3}, 2);
  const std::string file = model(network), a_file = npy(at, "a.npy"), b_file = npy(bt, "b.npy");

  const auto result =
      compiling({"run", file, "--input", "b=" + b_file, "--input", "a=" + a_file, "--output",
                 "difference=" + path("d.npy"), "--output", "sum=" + path("s.npy")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto expected = must(evaluate(network, {at, bt}));
  EXPECT_LT(largest_difference(must(read_npy(path("s.npy"))).values, expected[0].data), 1e-6);
  EXPECT_LT(largest_difference(must(read_npy(path("d.npy"))).values, expected[1].data), 1e-6);

  expect_refusal(compiling({"run", file, "--input", "a=" + a_file, "--output",
                            "sum=" + path("s.npy"), "--output", "difference=" + path("d.npy")}),
                 "nothing given for b");
  expect_refusal(compiling({"run", file, "--input", a_file, "--output", path("s.npy")}),
                 "NAME=FILE");
}

TEST_F(RunTest, bad_input_is_refused_in_one_line) {
  const std::string good = model(small_network());
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  Tensor nan = noise({1, 3, 8, 8}, 9);
  nan.data[7] = NAN;
  const struct {
    std::string model, input, output, because;
  } cases[] = {
      {path("missing.onnx"), x, path("y.npy"), "missing.onnx"},
      {good, path("missing.npy"), path("y.npy"), "missing.npy"},
      {good, npy(noise({1, 3, 8, 9}, 9), "wide.npy"), path("y.npy"), "1x3x8x9"},
      {good, npy(nan, "nan.npy"), path("y.npy"), "element 7"},
      {good, text("no array", "text.npy"), path("y.npy"), "text.npy"},
      {good, x, path("no/such/folder/y.npy"), "no folder"},
      {good, x, folder_.path().string(), "is a folder"},
      {good, x, x, "is an input and would be overwritten"},
      {good, x, good, "is an input and would be overwritten"},
      {good, x, path(std::string(300, 'a')), "File name too long"},
      {"", x, path("y.npy"), "the name of a file is empty"},
      {text("not a model", "text.onnx"), x, path("y.npy"), "text.onnx"},
  };
  for (const auto& bad : cases) {
    SCOPED_TRACE(bad.because);
    expect_refusal(run(bad.model, bad.input, bad.output), bad.because);
    EXPECT_FALSE(std::filesystem::exists(path("y.npy")));
  }
}

TEST_F(RunTest, a_plan_for_another_network_is_refused) {
  Plan plan;
  plan.network = std::string(32, '0');
  const std::string file = text(to_json(plan), "p.json");
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  expect_refusal(compiling({"run", model(small_network()), "--input", x, "--output", path("y.npy"),
                            "--plan", file}),
                 file);
  expect_refusal(compiling({"run", model(small_network()), "--input", x, "--output", path("y.npy"),
                            "--plan", text("{", "broken.json")}),
                 "broken.json");
}

TEST_F(RunTest, a_target_that_this_machine_is_not_is_refused) {
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  expect_refusal(compiling({"run", model(small_network()), "--input", x, "--output", path("y.npy"),
                            "--target", "pdp-11"}),
                 "pdp-11");
}

TEST_F(RunTest, a_cache_that_cannot_be_written_is_said) {
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  const auto result = run_emulsion({"run", model(small_network()), "--input", x, "--output",
                                    path("y.npy"), "--cache", text("", "file")});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.errors, ::testing::HasSubstr(path("file")));
}

TEST_F(RunTest, a_full_disk_is_no_fault_of_the_input_and_a_device_stays_one) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "[SKIP] no /dev/full here";
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  const auto result =
      compiling({"run", model(small_network()), "--input", x, "--output", "/dev/full"});
  EXPECT_EQ(result.exit_code, 3);
  EXPECT_EQ(result.errors, "emulsion: /dev/full: cannot be written: No space left on device\n");
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

TEST_F(RunTest, a_temporary_folder_that_cannot_be_used_is_said) {
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy");
  for (const std::string& folder : {path("nowhere"), std::string("/proc")}) {
    const auto result =
        run_or_fail({"env", "TMPDIR=" + folder, EMULSION_PROGRAM, "run", model(small_network()),
                     "--input", x, "--output", path("y.npy"), "--cache", path("cache")});
    EXPECT_EQ(result.exit_code, 3);
    EXPECT_THAT(result.errors, ::testing::HasSubstr("TMPDIR"));
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  }
}

TEST_F(RunTest, wrong_usage_has_the_code_of_bad_input) {
  expect_refusal(run_emulsion({"run"}), "emulsion run --help");
  expect_refusal(run_emulsion({"run", "m.onnx", "--nonsense"}), "emulsion run --help");
  expect_refusal(run_emulsion({"run", "m.onnx", "--threads", "257"}), "range 1 to 256");
  EXPECT_EQ(run_emulsion({"run", "--help"}).exit_code, 0);
}

TEST_F(RunTest, ctrl_c_while_compiling_ends_with_130_and_writes_no_output) {
  const std::string file = model(small_network());
  const std::string x = npy(noise({1, 3, 8, 8}, 9), "x.npy"), y = path("y.npy");
  const std::string cache = path("cache");
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::execl(EMULSION_PROGRAM, EMULSION_PROGRAM, "run", file.c_str(), "--input", x.c_str(),
            "--output", y.c_str(), "--cache", cache.c_str(), "--jobs", "1", nullptr);
    ::_exit(99);
  }
  for (int i = 0; i < 2000 && !std::filesystem::exists(cache); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_FALSE(std::filesystem::exists(y));
}

}  // namespace
}  // namespace emulsion
