// Runs other programs: with input, captured output, and limits on time and memory.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

struct ProcessOptions {
  std::string input;         // given to its stdin
  double seconds = 0;        // wall clock; 0: no limit. Killed beyond it.
  size_t memory_bytes = 0;   // address space; 0: no limit
  std::string directory;     // to run in; empty: here
  bool in_own_group = true;  // not hit by the terminal's Ctrl-C; killed with the parent's interrupt
};

struct ProcessResult {
  int exit_code = 0;  // or 128 + signal
  bool timed_out = false;
  std::string output, errors;
};

// argv[0] is looked up in PATH. An error only when the program cannot be started or we were
// interrupted.
Result<ProcessResult> run_process(const std::vector<std::string>& argv,
                                  const ProcessOptions& options = {});

// Calls job(i) for i in [0, count) on up to `workers` threads.
void parallel_for(int count, int workers, const std::function<void(int)>& job);

// Where a program is in PATH, or "".
std::string find_program(const std::string& name);

// The path of the running program.
std::string this_program();

}  // namespace emulsion
