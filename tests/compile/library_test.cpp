// The files that compile_network writes, used as an app uses them: compilers, linkers, programs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "compile/link_library.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string k_apps = EMULSION_SOURCE_DIR "/tests/compile/apps/";

CompiledNetwork compile_as(const std::string& name, const Network& network, const fs::path& folder,
                           CompileOptions options = {}) {
  KernelCache cache = test_cache();
  options.name = name;
  options.directory = folder;
  return must(compile_network(network, {}, cache, options));
}

std::string run(const std::vector<std::string>& command, const std::string& input = "",
                const std::string& folder = "") {
  ProcessOptions options;
  options.input = input;
  options.seconds = 120;
  options.directory = folder;
  const ProcessResult result = must(run_process(command, options));
  EXPECT_EQ(result.exit_code, 0) << command[0] << ": " << result.errors << result.output;
  return result.output;
}

// Links one of the C apps with libraries, in the folder where their headers are.
std::string link_c_app(const fs::path& folder, const std::string& source,
                       const std::vector<std::string>& libraries) {
  const std::string app = folder / "app";
  std::vector<std::string> command = {"cc",
                                      "-std=c99",
                                      "-Wall",
                                      "-Wextra",
                                      "-Werror",
                                      "-D_POSIX_C_SOURCE=200809L",
                                      "-I" + folder.string(),
                                      k_apps + source};
  command.insert(command.end(), libraries.begin(), libraries.end());
  for (const char* word : {"-lpthread", "-ldl", "-lm", "-o"}) command.push_back(word);
  command.push_back(app);
  run(command);
  return app;
}

std::string bytes_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.data.data()), tensor.data.size() * sizeof(float)};
}

// "<way> 0 s0 s1 ...": one of the app's lines holds these scores.
void expect_scores(const std::string& output, const std::string& way, const Tensor& expected) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string word;
    int code = -1;
    if (!(words >> word >> code) || word != way) continue;
    EXPECT_EQ(code, 0) << line;
    Tensor scores(expected.shape);
    for (float& score : scores.data) words >> score;
    EXPECT_LT(relative_error(scores, expected), 1e-5) << line;
    return;
  }
  ADD_FAILURE() << "no line '" << way << "' in\n" << output;
}

struct Case {
  Network network;
  std::string image;
  Tensor scores;
};
Case small_case(uint64_t seed) {
  Case c{small_network(seed), "", {}};
  const std::vector<Tensor> inputs = random_inputs(c.network, 7);
  c.image = bytes_of(inputs[0]);
  c.scores = must(evaluate(c.network, inputs))[0];
  return c;
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Library, HoldsNoMoreWeightsThanItsCodeReaches) {
  EXPECT_TRUE(library_holds(0));
  EXPECT_TRUE(library_holds(1'900'000'000));
  EXPECT_FALSE(library_holds(2'100'000'000));
}

TEST(Library, ReadsWeightsThatLieBesideIt) {
  const TemporaryDirectory folder;
  const Case small = small_case(1);
  CompileOptions options;
  options.weights_beside = true;
  const CompiledNetwork compiled = compile_as("small", small.network, folder.path(), options);
  EXPECT_THAT(files_in(folder.path()), testing::ElementsAre("manifest.json", "small.a", "small.c",
                                                            "small.h", "small.weights"));
  EXPECT_EQ(compiled.weights, folder.path() / "small.weights");
  EXPECT_EQ(compiled.weights_bytes, static_cast<int64_t>(fs::file_size(compiled.weights)));
  EXPECT_THAT(must(read_file(compiled.manifest)), HasSubstr("\"weights\": \"beside\""));
  const std::string app = link_c_app(folder.path(), "weights_file.c", {compiled.library});
  expect_scores(run({app, compiled.weights}, small.image), "scores", small.scores);
  expect_scores(run({app}, small.image, folder.path()), "scores", small.scores);
  const TemporaryDirectory elsewhere;
  EXPECT_THAT(run({app}, small.image, elsewhere.path()),
              HasSubstr("refused: small: small.weights cannot be opened"));
  EXPECT_THAT(run({app, compiled.weights, "both"}, small.image),
              HasSubstr("options.weights and options.weights_file are both given"));
  for (const char* change : {"-1", "+1"}) {
    run({"cp", compiled.weights, folder.path() / "changed"});
    run({"truncate", std::string("--size=") + change, folder.path() / "changed"});
    EXPECT_THAT(run({app, folder.path() / "changed"}, small.image),
                HasSubstr(fmt::format("changed has not the {} bytes", compiled.weights_bytes)));
  }
}

TEST(Library, TakesOtherWeightsFromAFile) {
  const TemporaryDirectory folder, other_folder;
  const Case small = small_case(1), other = small_case(2);
  const CompiledNetwork compiled = compile_as("small", small.network, folder.path());
  EXPECT_TRUE(compiled.weights.empty());
  CompileOptions options;
  options.weights_beside = true;
  const CompiledNetwork retrained =
      compile_as("small", other.network, other_folder.path(), options);
  const std::string app = link_c_app(folder.path(), "weights_file.c", {compiled.library});
  expect_scores(run({app}, small.image), "scores", small.scores);
  const Tensor expected =
      must(evaluate(other.network, random_inputs(small.network, 7)))[0];  // of small's image
  expect_scores(run({app, retrained.weights}, small.image), "scores", expected);
}

TEST(Library, RunsEveryWayTheHeaderOffersWithoutAllocating) {
  const TemporaryDirectory folder;
  const Case small = small_case(1);
  const CompiledNetwork compiled = compile_as("small", small.network, folder.path());
  const std::string app = folder.path() / "app";
  run({"c++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I" + folder.path().string(),
       k_apps + "run_all_ways.cpp", compiled.library, "-lpthread", "-ldl", "-o", app});
  const std::string output = run({app}, small.image);
  for (const char* way : {"run_in", "run_in_threads", "context_one", "context_two", "run",
                          "own_workspace", "buffers", "argv", "after_errors"}) {
    expect_scores(output, way, small.scores);
  }
  EXPECT_THAT(output, HasSubstr("creation allocates: 1"));  // the counter counts
  EXPECT_THAT(output, HasSubstr("allocations 0"));
  EXPECT_THAT(output, Not(ContainsRegex("allocations [^0]")));
  EXPECT_THAT(
      output,
      HasSubstr("refused extent: -8 small: dimension 0 of buffer 'image_1' has extent 7, not 8"));
  EXPECT_THAT(
      output,
      HasSubstr("refused stride: -8 small: dimension 1 of buffer 'image_1' has stride 16, not 8"));
  EXPECT_THAT(output,
              HasSubstr("refused type: -3 small: buffer 'image_1' does not hold 32-bit floats"));
  EXPECT_THAT(output,
              HasSubstr("refused rank: -43 small: buffer 'image_1' has 3 dimensions, not 4"));
  EXPECT_THAT(output, HasSubstr("refused null: -12 small: buffer 'image_1' is 0"));
  EXPECT_THAT(output, HasSubstr("bounds 0: 8 8 3 1"));
  EXPECT_THAT(output,
              HasSubstr("app heard: small: options.threads must be 0 to 256\nrefused threads: 1"));
  EXPECT_THAT(output, HasSubstr("refused weights: 1"));
  EXPECT_THAT(output, HasSubstr("refused pointer: -1 small: an input is 0"));
  EXPECT_THAT(output, HasSubstr("refused context: -1 small: the context is 0"));
  EXPECT_THAT(output, HasSubstr(fmt::format("timed {} calls, last classes, some time",
                                            compiled.kernels.size())));
  EXPECT_THAT(output, HasSubstr("name image.1, version emulsion"));
}

TEST(Library, ShowsOnlyTheNetworksOwnSymbols) {
  const TemporaryDirectory folder;
  const CompiledNetwork compiled = compile_as("small", small_network(1), folder.path());
  std::istringstream symbols(run({"nm", "-g", "--defined-only", compiled.library}));
  int count = 0;
  for (std::string line; std::getline(symbols, line);) {
    if (line.empty() || line.back() == ':') continue;
    const std::string name = line.substr(line.rfind(' ') + 1);
    EXPECT_TRUE(name == "small" || name.starts_with("small_")) << line;
    ++count;
  }
  EXPECT_EQ(count, 11);
  EXPECT_THAT(run({"nm", "-u", compiled.library}), Not(HasSubstr("halide")));
}

TEST(Library, TwoNetworksLinkIntoOneProgram) {
  const TemporaryDirectory folder;
  const Case small = small_case(1), other = small_case(2);
  const CompiledNetwork one = compile_as("small", small.network, folder.path());
  const CompiledNetwork two = compile_as("other", other.network, folder.path());
  const std::string app = link_c_app(folder.path(), "two_networks.c", {one.library, two.library});
  const std::string output = run({app}, small.image);
  expect_scores(output, "small", small.scores);
  expect_scores(output, "other", other.scores);
}

// Halide's runtime once, from elsewhere, for both.
TEST(Library, TwoNetworksShareARuntime) {
  const TemporaryDirectory folder;
  const Case small = small_case(1), other = small_case(2);
  CompileOptions options;
  options.shared_runtime = true;
  const CompiledNetwork one = compile_as("small", small.network, folder.path(), options);
  const CompiledNetwork two = compile_as("other", other.network, folder.path(), options);
  KernelCache cache = test_cache();
  const fs::path runtime =
      must(cache.runtime_object(nlohmann::json::parse(must(read_file(one.manifest)))["target"]));
  const std::string app =
      link_c_app(folder.path(), "two_networks.c", {one.library, two.library, runtime});
  const std::string output = run({app}, small.image);
  expect_scores(output, "small", small.scores);
  expect_scores(output, "other", other.scores);
}

TEST(Library, TheExampleBuildsWithCMakeAndRuns) {
  const TemporaryDirectory folder;
  Case net = small_case(1);
  net.network.values[net.network.inputs[0]].name = "input";
  net.network.values[net.network.outputs[0]].name = "output";
  compile_as("net", net.network, folder.path());
  const std::string build = folder.path() / "build", image = folder.path() / "image";
  run({EMULSION_CMAKE, "-S", EMULSION_SOURCE_DIR "/examples/app", "-B", build,
       "-DNETWORK_DIR=" + folder.path().string()});
  run({EMULSION_CMAKE, "--build", build});
  ASSERT_TRUE(write_file(image, net.image).ok());
  const auto best =
      std::max_element(net.scores.data.begin(), net.scores.data.end()) - net.scores.data.begin();
  EXPECT_EQ(run({build + "/app", image}), fmt::format("class {}\n", best));
}

// What emit_only writes is built by these compilers into an app that `emulator` runs.
void expect_app_from_parts(const std::string& target, const std::string& cc, const std::string& cxx,
                           std::vector<std::string> emulator) {
  const TemporaryDirectory folder;
  const Case small = small_case(1);
  CompileOptions options;
  options.target = target;
  options.emit_only = true;
  const CompiledNetwork compiled = compile_as("small", small.network, folder.path(), options);
  EXPECT_TRUE(compiled.library.empty());
  std::vector<std::string> link = {cxx, "-std=c++17", "-I.", k_apps + "run_all_ways.cpp",
                                   "small.o"};
  for (const std::string& file : files_in(folder.path())) {
    if (file.ends_with(".o")) link.push_back(file);
  }
  for (const char* word : {"-lpthread", "-ldl", "-o", "app"}) link.push_back(word);
  run({cc, "-Wall", "-Wextra", "-Werror", "-c", "small.c"}, "", folder.path());
  run(link, "", folder.path());
  emulator.push_back(folder.path() / "app");
  const std::string output = run(emulator, small.image);
  for (const char* way : {"run_in", "run_in_threads"}) expect_scores(output, way, small.scores);
}

TEST(Library, EmitOnlyWritesWhatAnAppBuildsItFrom) {
  expect_app_from_parts("host", "gcc", "c++", {});
}

TEST(Library, EmitOnlyWritesWhatAnAppForArmBuildsItFrom) {
  const char *gcc = "aarch64-linux-gnu-gcc", *gxx = "aarch64-linux-gnu-g++", *qemu = "qemu-aarch64";
  for (const char* program : {gcc, gxx, qemu})
    if (find_program(program).empty()) GTEST_SKIP() << "[SKIP] no " << program;
  expect_app_from_parts("arm-64-linux", gcc, gxx, {qemu, "-L", "/usr/aarch64-linux-gnu"});
}

TEST(Library, AnyCCompilerBuildsTheDriver) {
  for (const char* cc : {"gcc", "clang"}) {
    if (find_program(cc).empty()) continue;
    const TemporaryDirectory folder;
    CompileOptions options;
    options.cc = cc;
    compile_as("small", small_network(1), folder.path(), options);
  }
  const TemporaryDirectory folder;
  KernelCache cache = test_cache();
  CompileOptions options;
  options.name = "small";
  options.directory = folder.path();
  options.cc = "no-such-compiler";
  const auto compiled = compile_network(small_network(1), {}, cache, options);
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message, HasSubstr("no-such-compiler"));
  EXPECT_TRUE(files_in(folder.path()).empty());
}

TEST(Library, WritesItsFilesAndNoOthers) {
  const TemporaryDirectory folder;
  compile_as("small", small_network(1), folder.path());
  EXPECT_THAT(files_in(folder.path()),
              testing::ElementsAre("manifest.json", "small.a", "small.c", "small.h"));
}

TEST(Library, SameInputSameFiles) {
  const TemporaryDirectory one, two;
  compile_as("small", small_network(1), one.path());
  compile_as("small", small_network(1), two.path());
  for (const std::string& file : files_in(one.path())) {
    EXPECT_TRUE(must(read_file(one.path() / file)) == must(read_file(two.path() / file))) << file;
  }
}

TEST(Library, RefusesBadNamesAndFolders) {
  KernelCache cache = test_cache();
  const TemporaryDirectory folder;
  for (const char* name : {"", "1st", "a b", "a-b", "int", "class", "a.b", "na\xc3\xafve"}) {
    CompileOptions options;
    options.name = name;
    options.directory = folder.path();
    const auto compiled = compile_network(small_network(1), {}, cache, options);
    ASSERT_FALSE(compiled.ok()) << name;
    EXPECT_EQ(compiled.error().code, ExitCode::bad_input);
  }
  CompileOptions options;
  options.name = "small";
  options.directory = "/proc/nowhere";
  const auto compiled = compile_network(small_network(1), {}, cache, options);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().code, ExitCode::bad_input);
  EXPECT_THAT(compiled.error().message, HasSubstr("/proc/nowhere"));
}

TEST(Library, RefusesTargetsThatItCannotLinkFor) {
  KernelCache cache = test_cache();
  const TemporaryDirectory folder;
  CompileOptions options;
  options.name = "small";
  options.directory = folder.path();
  options.target = "arm-64-linux";
  const auto compiled = compile_network(small_network(1), {}, cache, options);
  ASSERT_FALSE(compiled.ok());
  EXPECT_EQ(compiled.error().code, ExitCode::bad_input);
  EXPECT_THAT(compiled.error().message, HasSubstr("arm-64-linux"));
}

TEST(Library, TheManifestSaysWhatIsInside) {
  const TemporaryDirectory folder;
  Plan plan;
  plan.layers.push_back({1, "", "", must(parse_steps("group 2")), {}});
  KernelCache cache = test_cache();
  CompileOptions options;
  options.name = "small";
  options.directory = folder.path();
  const CompiledNetwork compiled = must(compile_network(small_network(1), plan, cache, options));
  const auto manifest = nlohmann::json::parse(must(read_file(compiled.manifest)));
  EXPECT_EQ(manifest["format"], "emulsion-manifest-1");
  EXPECT_EQ(manifest["kernels"].size(), compiled.kernels.size());
  ASSERT_EQ(manifest["rewrites"].size(), 1);
  EXPECT_EQ(manifest["rewrites"][0]["rewrite"], "group 2");
  EXPECT_EQ(manifest["workspace_bytes"], compiled.workspace_bytes);
  EXPECT_GT(compiled.code_bytes, 0);
  EXPECT_GT(compiled.weights_bytes, 0);
  for (const auto& kernel : manifest["kernels"]) EXPECT_GT(kernel["code_bytes"], 0);
  run({EMULSION_PYTHON, "-c",
       "import json, sys, jsonschema; jsonschema.validate(*(json.load(open(f)) for f in "
       "sys.argv[1:]))",
       compiled.manifest, EMULSION_SOURCE_DIR "/docs/schemas/manifest.schema.json"});
}

TEST(CIdentifier, MakesNamesOfAnything) {
  EXPECT_EQ(c_identifier("input.1"), "input_1");
  EXPECT_EQ(c_identifier("1"), "_1");
  EXPECT_EQ(c_identifier(""), "_");
  EXPECT_EQ(c_identifier("a/b:0"), "a_b_0");
  EXPECT_EQ(c_identifier("\xc3\xa9"), "__");
}

}  // namespace
}  // namespace emulsion
