#include <nlohmann/json.hpp>

#include "verb_test.h"

namespace emulsion {
namespace {

using ::testing::HasSubstr;

class DoctorTest : public VerbTest {};

TEST_F(DoctorTest, a_machine_that_runs_these_tests_is_well) {
  const auto result = compiling({"doctor"});
  EXPECT_EQ(result.exit_code, 0) << result.output << result.errors;
  for (const char* check : {"Halide", "clang", "ld.lld", "llvm-objcopy", "llvm-ar", "cache folder",
                            "processor", "host target", "ONNX Runtime"}) {
    EXPECT_THAT(result.output, HasSubstr(check));
  }
}

TEST_F(DoctorTest, what_is_missing_is_named_with_a_remedy) {
  const auto result = must(run_process({"/usr/bin/env", "PATH=/nonexistent", EMULSION_PROGRAM,
                                        "doctor", "--cache", cache_->path().string()}));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_THAT(result.output, HasSubstr("apt-get install clang"));
  EXPECT_THAT(result.errors, HasSubstr("clang"));
  EXPECT_THAT(result.errors, HasSubstr("ld.lld"));
}

TEST_F(DoctorTest, a_cache_that_cannot_be_written_is_an_illness) {
  const auto result = run_emulsion({"doctor", "--json", "--cache", text("", "file")});
  EXPECT_EQ(result.exit_code, 1);
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["well"], false);
  bool found = false;
  for (const auto& check : json["checks"]) {
    if (check["check"] != "cache folder") continue;
    found = true;
    EXPECT_EQ(check["good"], false);
    EXPECT_THAT(check["remedy"].get<std::string>(), HasSubstr("--cache"));
  }
  EXPECT_TRUE(found);
}

TEST_F(DoctorTest, targets_lists_this_machine_and_whether_each_runs_here) {
  const auto result = run_emulsion({"targets", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const auto json = nlohmann::json::parse(result.output);
  EXPECT_EQ(json["targets"][0]["name"], "host");
  EXPECT_EQ(json["targets"][0]["runs_here"], true);
  int last = 0;
  for (const auto& target : json["targets"]) {
    EXPECT_GE(target["vector_width"], 4);
    if (target["name"] == "arm-64-linux") {
      EXPECT_EQ(target["runs_here"], false);
    } else if (target["name"] != "host") {
      EXPECT_THAT(target["target"].get<std::string>(), HasSubstr("x86-64"));
      EXPECT_GE(target["vector_width"], last) << "narrow targets first";
      last = target["vector_width"];
    }
  }
  EXPECT_EQ(run_emulsion({"targets"}).exit_code, 0);
}

}  // namespace
}  // namespace emulsion
