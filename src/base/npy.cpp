#include "base/npy.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "base/file.h"

namespace emulsion {
namespace {

float half_to_float(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  float magnitude;
  if (exponent == 31) {
    magnitude =
        fraction ? std::numeric_limits<float>::quiet_NaN() : std::numeric_limits<float>::infinity();
  } else if (exponent == 0) {
    magnitude = static_cast<float>(fraction) * 0x1p-24f;
  } else {
    magnitude = static_cast<float>(fraction + 1024) * std::exp2f(static_cast<float>(exponent - 25));
  }
  return bits & 0x8000 ? -magnitude : magnitude;
}

template <class T>
double load(const char* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}

double load_half(const char* bytes) {
  return half_to_float(static_cast<uint16_t>(load<uint16_t>(bytes)));
}

struct NumberType {
  const char* descr;
  int bytes;
  bool integral;
  double (*load)(const char*);
};

constexpr NumberType k_types[] = {
    {"f2", 2, false, load_half},     {"f4", 4, false, load<float>},
    {"f8", 8, false, load<double>},  {"i1", 1, true, load<int8_t>},
    {"i2", 2, true, load<int16_t>},  {"i4", 4, true, load<int32_t>},
    {"i8", 8, true, load<int64_t>},  {"u1", 1, true, load<uint8_t>},
    {"u2", 2, true, load<uint16_t>}, {"u4", 4, true, load<uint32_t>},
    {"b1", 1, true, load<uint8_t>},
};

// The text between the quotes after 'key': in the header's Python dict.
std::string quoted_after(const std::string& header, const std::string& key) {
  const size_t at = header.find("'" + key + "'");
  if (at == std::string::npos) return "";
  const size_t colon = header.find(':', at);
  if (colon == std::string::npos) return "";
  const size_t begin = header.find_first_of("'\"", colon);
  if (begin == std::string::npos) return "";
  const size_t end = header.find(header[begin], begin + 1);
  return end == std::string::npos ? "" : header.substr(begin + 1, end - begin - 1);
}

Result<std::vector<int64_t>> parse_npy_shape(const std::string& header,
                                             const std::string& file_name) {
  const size_t at = header.find("'shape'");
  const size_t open = at == std::string::npos ? at : header.find('(', at);
  const size_t close = open == std::string::npos ? open : header.find(')', open);
  if (close == std::string::npos)
    return error("{}: not a .npy file: its header has no shape", file_name);
  std::vector<int64_t> shape;
  int64_t count = 1, number = 0;
  bool digits = false;
  for (size_t i = open + 1; i <= close; ++i) {
    const char c = header[i];
    if (c >= '0' && c <= '9') {
      number = number * 10 + (c - '0');
      digits = true;
      if (number > int64_t{1} << 40)
        return error("{}: a dimension of the array is too large", file_name);
    } else if (digits) {
      shape.push_back(number);
      if (__builtin_mul_overflow(count, number, &count) || count > int64_t{1} << 40) {
        return error("{}: the array is too large", file_name);
      }
      number = 0;
      digits = false;
    }
  }
  return shape;
}

}  // namespace

Result<Npy> parse_npy(const std::string& bytes, const std::string& file_name) {
  if (bytes.size() < 10 || bytes.compare(0, 6, "\x93NUMPY") != 0) {
    return error("{}: not a .npy file; write it with numpy.save", file_name);
  }
  const int version = static_cast<unsigned char>(bytes[6]);
  const size_t prefix = version == 1 ? 10 : 12;
  if (version < 1 || version > 3 || bytes.size() < prefix) {
    return error("{}: .npy version {} is not known", file_name, version);
  }
  uint32_t length = 0;
  std::memcpy(&length, bytes.data() + 8, version == 1 ? 2 : 4);
  if (bytes.size() - prefix < length) return error("{}: truncated .npy header", file_name);
  const std::string header = bytes.substr(prefix, length);
  const std::string descr = quoted_after(header, "descr");
  if (header.find("'fortran_order': True") != std::string::npos) {
    return error("{}: Fortran order is not supported; save numpy.ascontiguousarray(x)", file_name);
  }
  const NumberType* type = nullptr;
  for (const NumberType& candidate : k_types) {
    if (descr.size() == 3 && descr.compare(1, 2, candidate.descr) == 0 &&
        (descr[0] == '<' || descr[0] == '|' || descr[0] == '=')) {
      type = &candidate;
    }
  }
  if (!type)
    return error("{}: number type '{}' is not supported; use float32 or int64", file_name, descr);
  Npy npy;
  npy.integral = type->integral;
  TRY(npy.shape, parse_npy_shape(header, file_name));
  int64_t count = 1;
  for (const int64_t extent : npy.shape) count *= extent;
  const size_t data = prefix + length;
  if (bytes.size() - data < static_cast<size_t>(count) * static_cast<size_t>(type->bytes)) {
    return error("{}: truncated: {} values of {} bytes promised, {} bytes there", file_name, count,
                 type->bytes, bytes.size() - data);
  }
  npy.values.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i)
    npy.values[i] = type->load(bytes.data() + data + i * type->bytes);
  return npy;
}

Result<Npy> read_npy(const std::filesystem::path& path) {
  TRY(const std::string bytes, read_file(path));
  return parse_npy(bytes, path.string());
}

std::string npy_bytes(const std::vector<int64_t>& shape, const std::vector<float>& values) {
  std::string dimensions;
  for (const int64_t extent : shape) dimensions += fmt::format("{},", extent);
  std::string header =
      fmt::format("{{'descr': '<f4', 'fortran_order': False, 'shape': ({}), }}", dimensions);
  header.append(63 - (10 + header.size()) % 64, ' ');
  header += '\n';
  std::string bytes("\x93NUMPY\x01\x00", 8);
  const auto length = static_cast<uint16_t>(header.size());
  bytes.append(reinterpret_cast<const char*>(&length), 2);
  bytes += header;
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float));
  return bytes;
}

Status write_npy(const std::filesystem::path& path, const std::vector<int64_t>& shape,
                 const std::vector<float>& values) {
  return write_file(path, npy_bytes(shape, values));
}

}  // namespace emulsion
