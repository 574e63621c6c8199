// One scheduling function, two ways to it: the object that the program compiles for a conv and the
// one that the generator makes under Emulsion::Joint have the same code. What Joint refuses.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <regex>
#include <sstream>

#include "base/file.h"
#include "base/process.h"
#include "conv_case.h"

namespace emulsion {
namespace {

// The instructions and relocations of each function of an object. Halide numbers the Funcs of one
// process, and the number is part of a parallel loop's name.
std::map<std::string, std::string> code_of(const std::filesystem::path& object) {
  const Result<ProcessResult> dump =
      run_process({"llvm-objdump", "-d", "-r", "--no-show-raw-insn", object.string()});
  EXPECT_TRUE(dump.ok() && dump->exit_code == 0);
  std::map<std::string, std::string> code;
  const std::regex number("(par_for_[a-z]+)__[0-9]+"), head("^[0-9a-f]+ <(.*)>:$");
  std::istringstream lines(std::regex_replace(dump->output, number, "$1"));
  std::string line, function;
  for (std::smatch match; std::getline(lines, line);) {
    if (std::regex_match(line, match, head))
      function = match[1];
    else if (!function.empty() && !line.empty() && line.find("section .text") == std::string::npos)
      code[function] += line + "\n";
  }
  return code;
}

Result<ProcessResult> generate(const ConvCase& conv, const std::string& function,
                               const std::filesystem::path& directory,
                               const std::vector<std::string>& more) {
  std::vector<std::string> command = {EMULSION_CONV_GENERATOR,
                                      "-p",
                                      EMULSION_JOINT,
                                      "-g",
                                      "conv_layer",
                                      "-f",
                                      function,
                                      "-e",
                                      "object,schedule",
                                      "-o",
                                      directory.string(),
                                      "autoscheduler=Joint"};
  command.push_back("target=" + resolve_target("host").value() +
                    "-no_runtime-user_context-no_asserts-no_bounds_query");
  for (const std::string& p : conv.parameters()) command.push_back(p);
  command.insert(command.end(), more.begin(), more.end());
  return run_process(command);
}

void expect_equal_code(const ConvCase& conv, const std::vector<std::string>& more = {}) {
  const TemporaryDirectory directory;
  const KernelSpec spec = conv.spec();
  const std::string name = kernel_name(spec);
  const std::filesystem::path ours = directory.path() / "program.o";
  const Status compiled = compile_to_object(spec, ours.string(), /*prefetch_constants=*/false);
  ASSERT_TRUE(compiled.ok()) << compiled.error().message;
  const Result<ProcessResult> run = generate(conv, name, directory.path(), more);
  ASSERT_TRUE(run.ok() && run->exit_code == 0) << run->errors;

  const auto program = code_of(ours), generator = code_of(directory.path() / (name + ".o"));
  ASSERT_TRUE(program.contains(name));
  for (const auto& [function, code] : program) {
    ASSERT_TRUE(generator.contains(function)) << function;
    EXPECT_EQ(code, generator.at(function)) << function << " of " << spec.schedule;
  }
}

TEST(JointObjects, EqualTheProgramsForTheDirectAlgorithm) {
  expect_equal_code({.y = 8, .x = 8});
  expect_equal_code({.residual = true});
  expect_equal_code({.ci = 3, .co = 64, .y = 17, .x = 23, .k = 7, .pad = 3, .stride = 2});
  expect_equal_code({.ci = 16, .co = 20, .y = 9, .x = 9, .pad = 2, .dilation = 2, .n = 2});
}

TEST(JointObjects, EqualTheProgramsForGroups) {
  expect_equal_code({.ci = 32, .co = 48, .y = 9, .x = 8, .groups = 4});
  expect_equal_code({.ci = 40, .co = 40, .y = 9, .x = 8, .groups = 40, .relu = false});
}

TEST(JointObjects, EqualTheProgramsForOneByOne) {
  expect_equal_code({.ci = 48, .co = 96, .y = 14, .x = 14, .k = 1, .pad = 0});
  expect_equal_code({.ci = 48, .co = 96, .y = 14, .x = 14, .k = 1, .pad = 0, .stride = 2});
}

TEST(JointObjects, EqualTheProgramsForAGivenSchedule) {
  const std::string steps = "tile x 4, tile co 16, vectorize coi 8, unroll coi, unroll xi";
  expect_equal_code({.y = 8, .x = 8, .schedule = steps}, {"autoscheduler.schedule=" + steps});
}

TEST(Joint, ReportsWhatItDid) {
  const TemporaryDirectory directory;
  ASSERT_EQ(generate({.y = 8, .x = 8}, "f", directory.path(), {})->exit_code, 0);
  EXPECT_THAT(read_file(directory.path() / "f.schedule.h").value(),
              testing::HasSubstr("// conv: direct, tile "));
}

TEST(Joint, RefusesWhatItDoesNotTake) {
  const std::pair<const char*, const char*> table[] = {
      {"autoscheduler.parallelism=8", "there is no parameter 'parallelism'"},
      {"autoscheduler.algorithm=fastest", "it can be direct, pointwise or depthwise"},
      {"autoscheduler.algorithm=depthwise", "algorithm depthwise does not compute"},
      {"autoscheduler.schedule=fly co", "fly"},
      {"autoscheduler.schedule=group 2", "changes what is computed"},
      {"autoscheduler.schedule=tile co 48", "do not fit weights in blocks of"},
  };
  const TemporaryDirectory directory;
  for (const auto& [parameter, message] : table) {
    const Result<ProcessResult> run =
        generate({.y = 8, .x = 8}, "f", directory.path(), {parameter});
    ASSERT_TRUE(run.ok());
    EXPECT_NE(run->exit_code, 0) << parameter;
    EXPECT_THAT(run->errors, testing::HasSubstr(message)) << parameter;
  }
}

TEST(ConvLayer, RefusesImpossibleLayers) {
  const TemporaryDirectory directory;
  for (const ConvCase& conv : {ConvCase{.groups = 3}, ConvCase{.y = 1, .k = 7, .pad = 0},
                               ConvCase{.stride = 0}, ConvCase{.schedule = "fly co"}}) {
    const Result<ProcessResult> run = generate(conv, "f", directory.path(), {});
    ASSERT_TRUE(run.ok());
    EXPECT_NE(run->exit_code, 0);
    EXPECT_THAT(run->errors, testing::HasSubstr("conv_layer: "));
  }
}

}  // namespace
}  // namespace emulsion
