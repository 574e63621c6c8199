#include "onnx/load_tensor.h"

#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>

namespace emulsion {

namespace {

struct ExternalData {
  std::string location;
  int64_t offset = 0;
  int64_t length = -1;  // -1: not given
};

Result<int64_t> parse_count(const std::string& text, const char* key) {
  int64_t value = 0;
  const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (fault != std::errc() || end != text.data() + text.size() || value < 0) {
    return error("external data's {} '{}' is not a number", key, text);
  }
  return value;
}

Result<ExternalData> external_data(const onnx::TensorProto& tensor) {
  ExternalData result;
  for (const auto& entry : tensor.external_data()) {
    if (entry.key() == "location") result.location = entry.value();
    if (entry.key() == "offset") {
      TRY(result.offset, parse_count(entry.value(), "offset"));
    }
    if (entry.key() == "length") {
      TRY(result.length, parse_count(entry.value(), "length"));
    }
  }
  if (result.location.empty()) return error("external data has no location");
  return result;
}

// The bytes of an external tensor. A model may name only files in its own folder: no absolute path,
// no
// "..", no link that leads elsewhere.
Result<std::string> read_external(const onnx::TensorProto& tensor,
                                  const std::filesystem::path& folder, int64_t bytes) {
  namespace fs = std::filesystem;
  TRY(const ExternalData data, external_data(tensor));
  if (data.location.find('\0') != std::string::npos) {
    return error("external data's location holds a zero byte");
  }
  std::error_code fault;
  const fs::path home = fs::weakly_canonical(folder.empty() ? fs::path(".") : folder, fault);
  if (fault) return error("cannot resolve the model's folder: {}", fault.message());
  const fs::path file = fs::weakly_canonical(home / data.location, fault);
  if (fault) return error("external data '{}': {}", data.location, fault.message());
  const fs::path inside = file.lexically_relative(home);
  if (fs::path(data.location).is_absolute() || inside.empty() || *inside.begin() == "..") {
    return error("external data '{}' is outside the model's folder", data.location);
  }
  if (!fs::is_regular_file(file, fault)) {
    return error("external data '{}' is not a file beside the model", data.location);
  }
  if (data.length >= 0 && data.length != bytes) {
    return error("external data has {} bytes where the shape needs {}", data.length, bytes);
  }
  const auto size = fs::file_size(file, fault);
  if (fault || static_cast<uint64_t>(data.offset) > size ||
      size - data.offset < static_cast<uint64_t>(bytes)) {
    return error("external data '{}' is too short: {} bytes are wanted at offset {}", data.location,
                 bytes, data.offset);
  }
  std::ifstream in(file, std::ios::binary);
  in.seekg(data.offset);
  std::string content(bytes, '\0');
  in.read(content.data(), bytes);
  if (!in) return error("cannot read external data '{}'", data.location);
  return content;
}

float half_to_float(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const float mantissa = static_cast<float>(bits & 1023);
  float value = 0;
  if (exponent == 31) {
    value = mantissa == 0 ? std::numeric_limits<float>::infinity()
                          : std::numeric_limits<float>::quiet_NaN();
  } else if (exponent == 0) {
    value = std::ldexp(mantissa, -24);
  } else {
    value = std::ldexp(mantissa + 1024.0f, exponent - 25);
  }
  return (bits & 0x8000) != 0 ? -value : value;
}

float bfloat_to_float(uint16_t bits) {
  return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

// The values of little-endian raw data.
template <class Stored, class T, class Convert>
std::vector<T> unpack(const std::string& raw, Convert convert) {
  std::vector<T> values(raw.size() / sizeof(Stored));
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, raw.data() + i * sizeof(Stored), sizeof(Stored));
    values[i] = convert(stored);
  }
  return values;
}

int bytes_per_element(int type) {
  switch (type) {
    case onnx::TensorProto::BOOL:
    case onnx::TensorProto::INT8:
    case onnx::TensorProto::UINT8:
      return 1;
    case onnx::TensorProto::INT16:
    case onnx::TensorProto::UINT16:
    case onnx::TensorProto::FLOAT16:
    case onnx::TensorProto::BFLOAT16:
      return 2;
    case onnx::TensorProto::INT32:
    case onnx::TensorProto::UINT32:
    case onnx::TensorProto::FLOAT:
      return 4;
    default:
      return 8;
  }
}

std::vector<float> floats_from_raw(const std::string& raw, int type) {
  switch (type) {
    case onnx::TensorProto::FLOAT16:
      return unpack<uint16_t, float>(raw, half_to_float);
    case onnx::TensorProto::BFLOAT16:
      return unpack<uint16_t, float>(raw, bfloat_to_float);
    case onnx::TensorProto::DOUBLE:
      return unpack<double, float>(raw, [](double v) { return static_cast<float>(v); });
    default: {
      std::vector<float> values(raw.size() / sizeof(float));
      if (!values.empty()) std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
      return values;
    }
  }
}

std::vector<int64_t> ints_from_raw(const std::string& raw, int type) {
  const auto plain = [](auto v) { return static_cast<int64_t>(v); };
  switch (type) {
    case onnx::TensorProto::BOOL:
      return unpack<uint8_t, int64_t>(raw, [](uint8_t v) { return v != 0 ? 1 : 0; });
    case onnx::TensorProto::INT8:
      return unpack<int8_t, int64_t>(raw, plain);
    case onnx::TensorProto::UINT8:
      return unpack<uint8_t, int64_t>(raw, plain);
    case onnx::TensorProto::INT16:
      return unpack<int16_t, int64_t>(raw, plain);
    case onnx::TensorProto::UINT16:
      return unpack<uint16_t, int64_t>(raw, plain);
    case onnx::TensorProto::INT32:
      return unpack<int32_t, int64_t>(raw, plain);
    case onnx::TensorProto::UINT32:
      return unpack<uint32_t, int64_t>(raw, plain);
    default:
      return unpack<int64_t, int64_t>(raw, plain);
  }
}

// Values of the message's typed field for this element type.
std::vector<float> floats_from_field(const onnx::TensorProto& t, int type) {
  std::vector<float> values;
  if (type == onnx::TensorProto::FLOAT) values.assign(t.float_data().begin(), t.float_data().end());
  if (type == onnx::TensorProto::DOUBLE) {
    for (const double v : t.double_data()) values.push_back(static_cast<float>(v));
  }
  if (type == onnx::TensorProto::FLOAT16) {
    for (const int32_t v : t.int32_data())
      values.push_back(half_to_float(static_cast<uint16_t>(v)));
  }
  if (type == onnx::TensorProto::BFLOAT16) {
    for (const int32_t v : t.int32_data()) {
      values.push_back(bfloat_to_float(static_cast<uint16_t>(v)));
    }
  }
  return values;
}

std::vector<int64_t> ints_from_field(const onnx::TensorProto& t, int type) {
  std::vector<int64_t> values;
  if (type == onnx::TensorProto::INT64) {
    values.assign(t.int64_data().begin(), t.int64_data().end());
  } else if (type == onnx::TensorProto::UINT64 || type == onnx::TensorProto::UINT32) {
    for (const uint64_t v : t.uint64_data()) values.push_back(static_cast<int64_t>(v));
  } else {
    values.assign(t.int32_data().begin(), t.int32_data().end());
  }
  return values;
}

}  // namespace

Result<Known> load_tensor(const onnx::TensorProto& tensor, const std::filesystem::path& folder) {
  const int type = tensor.data_type();
  if (!is_float_type(type) && !is_integer_type(type)) {
    return error("element type {} is not supported; float32 is", type_name(type));
  }
  const Shape shape(tensor.dims().begin(), tensor.dims().end());
  TRY(const int64_t count, checked_count(shape, k_most_elements));
  const int64_t bytes = count * bytes_per_element(type);
  if (tensor.has_segment()) return error("tensors in segments are not supported");

  std::string external;
  const std::string* raw = nullptr;
  if (tensor.data_location() == onnx::TensorProto::EXTERNAL) {
    TRY(external, read_external(tensor, folder, bytes));
    raw = &external;
  } else if (tensor.has_raw_data()) {
    raw = &tensor.raw_data();
    if (static_cast<int64_t>(raw->size()) != bytes) {
      return error("raw_data has {} bytes where shape {} of {} needs {}", raw->size(),
                   to_text(shape), type_name(type), bytes);
    }
  }
  const auto misfit = [&](size_t have) {
    return error("{} values where shape {} needs {}", have, to_text(shape), count);
  };
  if (is_float_type(type)) {
    auto values = raw ? floats_from_raw(*raw, type) : floats_from_field(tensor, type);
    if (static_cast<int64_t>(values.size()) != count) return misfit(values.size());
    return known_floats(shape, std::move(values), type);
  }
  auto values = raw ? ints_from_raw(*raw, type) : ints_from_field(tensor, type);
  if (static_cast<int64_t>(values.size()) != count) return misfit(values.size());
  return known_ints(shape, std::move(values), type);
}

}  // namespace emulsion
