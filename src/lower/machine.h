// The few numbers about a machine that schedules are made from: functions of the target's name
// alone, never of the machine that runs the compiler.
#pragma once

#include <cstdint>
#include <string>

namespace emulsion {

struct Machine {
  int vector = 4;      // floats in a vector register
  int registers = 16;  // vector registers
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 512 << 10;
};

// Of a name that resolve_target accepts.
Machine machine_of(const std::string& target);

}  // namespace emulsion
