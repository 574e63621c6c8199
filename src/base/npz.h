// NumPy's .npz files, out only: named float32 arrays, stored without compression in a zip archive
// (numpy.load reads it).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

struct NpzArray {
  std::string name;  // the key that numpy.load gives it; unique
  std::vector<int64_t> shape;
  const std::vector<float>* values = nullptr;
};

// The file's content; an error where it would pass zip's 4 GB.
Result<std::string> npz_bytes(const std::vector<NpzArray>& arrays);

}  // namespace emulsion
