// The few numbers about a machine that schedules are made from: functions of the target's name
// alone, never of the machine that runs the compiler.
#pragma once

#include <cstdint>
#include <string>

#include "network/element_type.h"

namespace emulsion {

struct Machine {
  int vector = 4;      // floats in a vector register
  int registers = 16;  // vector registers
  int64_t l1_bytes = 32 << 10;
  int64_t l2_bytes = 512 << 10;
  bool zen4 = false;  // its cores, which do each wide operation in two halves
  // What a core does in a cycle: multiply-adds of vectors, loads of vectors (of single floats it
  // does k_loads, in conv_costs.h), bytes of weights from the second level cache and from beyond
  // it.
  int fmas = 2;
  double vector_loads = 1.8;
  double near_bytes = 24, far_bytes = 6.5;
  // The part of the shorter of work and a stream from beyond that does not overlap with the longer.
  double apart = 0.3;
  // Cycles of a load whose line others of the same tile drive from the first level cache.
  double conflict = 0.2;
  // Of a weight as it is stored: what streams from memory, and what must be converted.
  int weight_bytes = 4;
};

// Of a name that resolve_target accepts.
Machine machine_of(const std::string& target, ElementType weights = ElementType::f32);

// Whether the target converts half precision to f32 as it loads.
bool converts_halves(const std::string& target);

}  // namespace emulsion
