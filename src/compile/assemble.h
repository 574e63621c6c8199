// The driver's data and the weights of a prepared network: memory, buffers, calls.
#pragma once

#include "compile/driver.h"
#include "compile/prepare.h"
#include "compile/weights_file.h"

namespace emulsion {

// Fills in inputs, outputs, buffers, calls and sizes. name, version, target and threads are the
// caller's.
struct Assembly {
  Driver driver;
  WeightsFile weights;
};
Assembly assemble(const PreparedNetwork& prepared);

// Whether a word may be the name of a network in C and C++.
bool is_c_name(const std::string& word);

}  // namespace emulsion
