// What this machine is: its processor's features, and whether code for a target runs here.
#pragma once

#include <set>
#include <string>

#include "base/result.h"

namespace emulsion {

struct Processor {
  std::string model;
  std::set<std::string> flags;  // as the kernel names them: "avx2", "avx512f"
  int cores = 1;                // that we may run on
};
Processor this_processor();

// An error naming what the processor lacks unless code for the (canonical) target runs on it.
Status check_runs_here(const std::string& target);

}  // namespace emulsion
