// NumPy's .npy files: arrays in and out. Format: numpy.lib.format, versions 1 to 3, little-endian,
// C order.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.h"

namespace emulsion {

struct Npy {
  std::vector<int64_t> shape;
  std::vector<double> values;  // whatever the file's number type was
  bool integral = false;       // the file's type is an integer or bool
};

// Types read: f2 f4 f8, i1 i2 i4 i8, u1 u2 u4 u8, bool. Fortran order is refused.
Result<Npy> read_npy(const std::filesystem::path& path);
Result<Npy> parse_npy(const std::string& bytes, const std::string& file_name);

// float32, row-major.
std::string npy_bytes(const std::vector<int64_t>& shape, const std::vector<float>& values);
Status write_npy(const std::filesystem::path& path, const std::vector<int64_t>& shape,
                 const std::vector<float>& values);

}  // namespace emulsion
