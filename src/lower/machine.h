// The few numbers about a machine that schedules are made from: functions of the target's name
// alone, never of the machine that runs the compiler.
#pragma once

#include <cstdint>
#include <string>

#include "lower/core.h"
#include "network/element_type.h"

namespace emulsion {

struct Machine {
  int vector = 4;      // floats in a vector register
  int registers = 16;  // vector registers
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 512 << 10;
  Core core;
  // Of a weight as it is stored: what streams from memory, and what must be converted.
  int weight_bytes = 4;
};

// Of a name that resolve_target accepts.
Machine machine_of(const std::string& target, ElementType weights = ElementType::f32);

// Whether the target converts half precision to f32 as it loads.
bool converts_halves(const std::string& target);

}  // namespace emulsion
