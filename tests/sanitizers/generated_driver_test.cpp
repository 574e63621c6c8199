// The C that compile_network writes, built by clang under sanitizers from what --emit-only leaves.
#include <gtest/gtest.h>

#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "compile/driver.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

const std::string k_apps = EMULSION_SOURCE_DIR "/tests/sanitizers/apps/";

ProcessResult run(const std::vector<std::string>& command, const fs::path& folder,
                  const std::string& input = "") {
  ProcessOptions options;
  options.input = input;
  options.seconds = 120;
  options.directory = folder;
  return must(run_process(command, options));
}

class GeneratedDriver : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    const std::string program = (folder_.path() / "nothing").string();
    must(write_file(program + ".c", "int main(void) { return 0; }\n"));
    if (find_program("clang").empty()) GTEST_SKIP() << "[SKIP] no clang";
    if (build({program + ".c"}, program).exit_code != 0 ||
        run({program}, folder_.path()).exit_code != 0) {
      GTEST_SKIP() << "[SKIP] clang has no runtime for " << flag()
                   << " that runs here; see requirements/apt-oracles.txt";
    }
  }

  std::string flag() const { return fmt::format("-fsanitize={}", GetParam()); }

  ProcessResult build(const std::vector<std::string>& files, const std::string& program) const {
    std::vector<std::string> command = {"clang",   "-O1",     "-g",   "-Wall",
                                        "-Wextra", "-Werror", flag(), "-fno-sanitize-recover=all",
                                        "-I."};
    command.insert(command.end(), files.begin(), files.end());
    for (const char* word : {"-lpthread", "-ldl", "-lm", "-o"}) command.push_back(word);
    command.push_back(program);
    return run(command, folder_.path());
  }

  // The app's output; a sanitizer's complaint is a failure.
  std::string built_and_run(const std::vector<std::string>& files, const std::string& input = "") {
    const std::string app = (folder_.path() / "app").string();
    const ProcessResult built = build(files, app);
    EXPECT_EQ(built.exit_code, 0) << built.errors;
    if (built.exit_code != 0) return "";
    const ProcessResult result = run({app}, folder_.path(), input);
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return result.output;
  }

  // What apps/KERNEL_kernel_app.c finds wrong, in two threads, with a network of two floats that is
  // one kernel, k_KERNEL.
  std::string output_of_kernel(const std::string& kernel, bool heap_scratch) {
    using Where = DriverBuffer::Where;
    Driver driver;
    driver.name = "net";
    driver.heap_scratch = heap_scratch;
    driver.inputs = {{"x", "x", {2}}};
    driver.outputs = {{"y", "y", {2}}};
    driver.buffers = {{Where::input, 0, 0, {{0, 2, 1}}, "x"},
                      {Where::output, 0, 0, {{0, 2, 1}}, "y"}};
    driver.calls = {{kernel, "k_" + kernel, "", {0, 1}}};
    must(write_file(folder_.path() / "net.h", driver_header(driver)));
    must(write_file(folder_.path() / "net.c", driver_source(driver)));
    must(write_file(folder_.path() / "net.weights", ""));
    KernelCache cache = test_cache();
    const fs::path runtime = must(cache.runtime_object("x86-64-linux-sse41"));
    const std::string app = k_apps + kernel + "_kernel";
    return built_and_run(
        {"net.c", app + ".c", app + "_app.c", k_apps + "in_two_threads.c", runtime.string()});
  }

  TemporaryDirectory folder_;
};

TEST_P(GeneratedDriver, RunsTwoContextsInTwoThreads) {
  const Network network = small_network(1);
  const std::vector<Tensor> inputs = random_inputs(network, 7);
  const Tensor expected = must(evaluate(network, inputs))[0];
  CompileOptions options;
  options.name = "small";
  options.directory = folder_.path();
  options.emit_only = true;
  KernelCache cache = test_cache();
  must(compile_network(network, {}, cache, options));
  std::vector<std::string> files = {"small.c", k_apps + "two_contexts.c"};
  for (const auto& entry : fs::directory_iterator(folder_.path())) {
    if (entry.path().extension() == ".o") files.push_back(entry.path().filename());
  }
  std::istringstream lines(
      built_and_run(files, {reinterpret_cast<const char*>(inputs[0].data.data()),
                            inputs[0].data.size() * sizeof(float)}));
  int count = 0;
  for (std::string way; lines >> way; ++count) {
    int code = -1;
    Tensor scores(expected.shape);
    lines >> code;
    for (float& score : scores.data) lines >> score;
    EXPECT_EQ(code, 0) << way;
    EXPECT_LT(relative_error(scores, expected), 1e-5) << way;
  }
  EXPECT_EQ(count, 4);
}

TEST_P(GeneratedDriver, ServesTwoThreadsOfAKernelAtOnce) {
  EXPECT_EQ(output_of_kernel("busy", true), "0 0\n");
}

TEST_P(GeneratedDriver, RunsEachIterationOfALoopOnce) {
  EXPECT_EQ(output_of_kernel("loops", false), "0 0\n");
}

INSTANTIATE_TEST_SUITE_P(Sanitizers, GeneratedDriver,
                         testing::Values("thread", "address,undefined"), [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), ',', '_');
                           return name;
                         });

}  // namespace
}  // namespace emulsion
