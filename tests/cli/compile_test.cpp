#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "plan/plan.h"
#include "verb_test.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class CompileTest : public VerbTest {
 protected:
  std::vector<std::string> files(const std::string& folder) const {
    std::vector<std::string> names;
    if (!fs::exists(path(folder))) return names;
    for (const auto& entry : fs::directory_iterator(path(folder)))
      names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
  }
};

TEST_F(CompileTest, a_library_that_links_and_runs) {
  const auto result =
      compiling({"compile", model(small_network(), "my-net.onnx"), "-o", path("out")});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("link: c++ app.cpp " + path("out/my_net.a")));
  EXPECT_EQ(result.errors, "");
  EXPECT_THAT(files("out"),
              ::testing::ElementsAre("manifest.json", "my_net.a", "my_net.c", "my_net.h"));
  const std::string app = text(
      "#include \"my_net.h\"\n"
      "int main() { float x[my_net_image_elements] = {}, y[5]; return my_net_run(x, y); }\n",
      "app.cpp");
  const auto link = run_or_fail({"c++", app, path("out/my_net.a"), "-I" + path("out"), "-lpthread",
                                 "-ldl", "-o", path("app")});
  ASSERT_EQ(link.exit_code, 0) << link.errors;
  EXPECT_EQ(run_or_fail({path("app")}).exit_code, 0);
}

TEST_F(CompileTest, rewrites_of_a_plan_are_listed) {
  const std::string plan = text(R"({"format": "emulsion-plan-1", "network": "",
      "layers": [{"conv": 1, "rewrite": "group 2"}]})",
                                "p.json");
  const std::string file = model(small_network());
  const auto result = compiling({"compile", file, "-o", path("out"), "--plan", plan});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("rewritten: "));
  EXPECT_THAT(result.output, HasSubstr("group 2"));
  const auto plain = compiling({"compile", file, "-o", path("out")});
  EXPECT_THAT(plain.output, ::testing::Not(HasSubstr("rewritten")));
}

TEST_F(CompileTest, a_budget_writes_a_plan_that_compiles_the_same) {
  const std::string file = model(small_network());
  const auto refined =
      compiling({"compile", file, "-o", path("out"), "--name", "net", "--budget", "1"});
  ASSERT_EQ(refined.exit_code, 0) << refined.errors;
  const Plan plan = must(parse_plan(must(read_file(path("out/net.plan.json"))), "net.plan.json"));
  EXPECT_EQ(plan.layers.size(), 3);
  for (const LayerChoice& layer : plan.layers) EXPECT_EQ(layer.kernels.size(), 1);
  const auto again = compiling(
      {"compile", file, "-o", path("again"), "--name", "net", "--plan", path("out/net.plan.json")});
  ASSERT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_EQ(must(read_file(path("out/manifest.json"))),
            must(read_file(path("again/manifest.json"))));
}

// A layer that streams its weights, and a budget for it.
TEST_F(CompileTest, weights_in_half_precision_are_reported_and_verified) {
  if (must(read_file("/proc/cpuinfo")).find(" f16c ") == std::string::npos)
    GTEST_SKIP() << "[SKIP] no f16c";
  Network network;
  network.name = "heavy";
  network.inputs = {network.add_value("image", {1, 160, 3, 3})};
  ValueId x = network.add_layer("wide", conv3x3(160, 256, 1), network.inputs);
  x = network.add_layer("mean", ReduceMean{{2, 3}, false}, {x});
  network.outputs = {x};
  const std::string file = model(network);
  const std::vector<std::vector<std::string>> ways = {{}, {"--budget", "3"}};
  for (const auto& way : ways) {
    std::vector<std::string> arguments{"compile", file,        "-o",  path("out"),   "--name",
                                       "net",     "--weights", "f16", "--tolerance", "0.01"};
    arguments.insert(arguments.end(), way.begin(), way.end());
    const auto result = compiling(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    const std::string plan = path("out/net.plan.json");
    const auto verified = compiling({"verify", file, "--plan", plan, "--layers"});
    EXPECT_EQ(verified.exit_code, 0) << verified.output << verified.errors;
    if (!way.empty()) continue;  // what is fastest is the machine's to say
    EXPECT_THAT(result.output, HasSubstr("16-bit weights: 1 layer, 0.70 MB of weights saved"));
    EXPECT_THAT(result.output, HasSubstr("of the largest output, on seeded noise (0.01 accepted)"));
    EXPECT_THAT(must(read_file(path("out/manifest.json"))), HasSubstr("\"weights\": \"f16\""));
    EXPECT_THAT(verified.output, HasSubstr("Layers with 16-bit weights, as the plan says: 1."));
  }
}

TEST_F(CompileTest, accuracy_options_that_mean_nothing_are_refused) {
  const std::string file = model(small_network());
  const auto refused = [&](std::vector<std::string> more, const char* part) {
    std::vector<std::string> arguments{"compile", file, "-o", path("out")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    expect_refusal(compiling(arguments), part);
  };
  refused({"--tolerance", "0.1"}, "--tolerance: without --budget or --weights f16");
  refused({"--data", "x.npy"}, "--data: without --budget or --weights f16");
  refused({"--weights", "f16", "--target", "x86-64-linux-avx-avx2-fma-sse41"}, "has no f16c");
  refused({"--weights", "f16", "--data", npy(Tensor({1, 3, 9, 9}), "x.npy")},
          "its shape is 1x3x9x9");
  refused({"--weights", "bf16"}, "--weights");
}

TEST_F(CompileTest, emit_only_says_how_to_build) {
  const auto result =
      compiling({"compile", model(small_network()), "-o", path("out"), "--emit-only"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("cc -c m.c"));
  EXPECT_THAT(files("out"), ::testing::IsSupersetOf({"m.c", "m.h", "m.weights", "manifest.json"}));
}

TEST_F(CompileTest, weights_beside_the_library_are_named) {
  const auto result =
      compiling({"compile", model(small_network()), "-o", path("out"), "--weights-beside"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_THAT(result.output, HasSubstr("weights: " + path("out/m.weights") + "; the app"));
  EXPECT_THAT(files("out"), ::testing::IsSupersetOf({"m.a", "m.weights"}));
}

TEST_F(CompileTest, bad_input_is_one_line) {
  const std::string file = model(small_network());
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--name", "int"}), "--name int");
  expect_refusal(compiling({"compile", file, "-o", "/proc/nowhere"}), "/proc/nowhere");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--target", "pdp11"}), "pdp11");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--target", "arm-64-linux"}),
                 "--emit-only");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--target", "arm-64-linux",
                            "--emit-only", "--budget", "1"}),
                 "arm-64-linux does not run here");
  expect_refusal(compiling({"compile", path("none.onnx"), "-o", path("out")}), "none.onnx");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--plan", text("{", "p.json")}),
                 "p.json");
  const std::string other =
      text(R"({"format": "emulsion-plan-1", "network": "0123456789abcdef0123456789abcdef",
      "layers": []})",
           "other.json");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--plan", other}),
                 "another network");
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  // A library with such a name would take the place of the C library's function.
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--name", "printf"}),
                 "the C library has a function of that name");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--name", std::string(300, 'a')}),
                 "300 letters");
  expect_refusal(compiling({"compile", file, "-o", path("out"), "--cc", ""}), "--cc");
  for (const char* budget : {"-1", "nan", "inf", "abc"}) {
    expect_refusal(compiling({"compile", file, "-o", path("out"), "--budget", budget}),
                   "is not a number from 0");
  }
  expect_refusal(run_emulsion({"compile", file, "-o", path("out"), "--cache", "/proc/nowhere"}),
                 "the cache of kernels: /proc/nowhere");
  EXPECT_TRUE(files("out").empty());
  EXPECT_EQ(run_emulsion({"compile"}).exit_code, 2);
  EXPECT_EQ(run_emulsion({"compile", "--help"}).exit_code, 0);
}

TEST_F(CompileTest, all_files_arrive_or_none) {
  fs::create_directories(path("out/m.a"));
  expect_refusal(compiling({"compile", model(small_network()), "-o", path("out")}),
                 "is a folder, not a file");
  EXPECT_THAT(files("out"), ::testing::ElementsAre("m.a"));
}

// Ends the program with the signal once a file is there; returns what waitpid says.
int ended_by(int signal, std::vector<std::string> arguments, const fs::path& file) {
  std::vector<char*> argv;
  arguments.insert(arguments.begin(), EMULSION_PROGRAM);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const pid_t child = ::fork();
  if (child == 0) {
    ::execv(EMULSION_PROGRAM, argv.data());
    ::_exit(99);
  }
  for (int i = 0; i < 20000 && !fs::exists(file); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  ::kill(child, signal);
  int status = 0;
  EXPECT_EQ(::waitpid(child, &status, 0), child);
  return status;
}

TEST_F(CompileTest, ctrl_c_ends_with_130_and_leaves_nothing) {
  const int status = ended_by(SIGINT,
                              {"compile", model(small_network()), "-o", path("out"), "--cache",
                               path("cache"), "--jobs", "1"},
                              path("cache"));
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_TRUE(files("out").empty());
}

TEST_F(CompileTest, a_search_that_was_killed_leaves_its_best_plan_and_goes_on) {
  const std::string file = model(small_network());
  const std::vector<std::string> search = {"compile", file,  "-o",       path("out"),
                                           "--name",  "net", "--budget", "30"};
  const int status = ended_by(SIGKILL, search, path("out/net.plan.json"));
  ASSERT_TRUE(WIFSIGNALED(status));
  (void)must(parse_plan(must(read_file(path("out/net.plan.json"))), "net.plan.json"));
  const std::string known = must(read_file(path("out/net.records.jsonl")));
  EXPECT_THAT(known, HasSubstr("roofline_ms"));
  const auto again =
      compiling({"compile", file, "-o", path("out"), "--name", "net", "--budget", "1"});
  EXPECT_EQ(again.exit_code, 0) << again.errors;
  EXPECT_THAT(must(read_file(path("out/net.records.jsonl"))), testing::StartsWith(known));
}

TEST_F(CompileTest, ctrl_c_in_a_search_writes_the_best_plan_and_no_library) {
  const int status = ended_by(
      SIGINT,
      {"compile", model(small_network()), "-o", path("out"), "--name", "net", "--budget", "100"},
      path("out/net.plan.json"));
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  (void)must(parse_plan(must(read_file(path("out/net.plan.json"))), "net.plan.json"));
  EXPECT_THAT(files("out"), testing::Not(testing::Contains("net.a")));
}

}  // namespace
}  // namespace emulsion
