// Runs the program under test, and Python, from tests.
#pragma once

#include <gtest/gtest.h>

#include "base/process.h"

namespace emulsion {

inline ProcessResult run_or_fail(const std::vector<std::string>& argv) {
  Result<ProcessResult> result = run_process(argv);
  EXPECT_TRUE(result.ok()) << result.error().message;
  return result.ok() ? *std::move(result) : ProcessResult{-1};
}

inline ProcessResult run_emulsion(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), EMULSION_PROGRAM);
  return run_or_fail(arguments);
}

inline ProcessResult run_python(const std::string& script,
                                std::vector<std::string> arguments = {}) {
  arguments.insert(arguments.begin(), {EMULSION_PYTHON, "-c", script});
  return run_or_fail(arguments);
}

// A refusal is one line on stderr, and the exit code of bad input.
inline void expect_refusal(const ProcessResult& result, const std::string& part) {
  EXPECT_EQ(result.exit_code, 2) << result.output << result.errors;
  EXPECT_NE(result.errors.find(part), std::string::npos) << result.errors;
  EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
}

}  // namespace emulsion
