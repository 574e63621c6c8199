#include "base/npz.h"

#include <array>
#include <limits>

#include "base/npy.h"

namespace emulsion {
namespace {

// The CRC of zip, gzip and PNG (polynomial 0xEDB88320, reflected).
uint32_t crc32(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> entries{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t c = i;
      for (int bit = 0; bit < 8; ++bit) c = c & 1 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
      entries[i] = c;
    }
    return entries;
  }();
  uint32_t crc = 0xFFFFFFFFu;
  for (const char byte : bytes) {
    crc = table[(crc ^ static_cast<unsigned char>(byte)) & 255] ^ (crc >> 8);
  }
  return ~crc;
}

void put(std::string& bytes, uint32_t value, int count) {
  for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 255);
}

// What the local header and the central directory say alike of a stored member (zip's APPNOTE,
// 4.3.7): version, flags (names are UTF-8), no compression, a fixed date (1980-01-01), CRC, sizes.
std::string member_fields(uint32_t crc, uint32_t size, const std::string& name) {
  std::string fields;
  put(fields, 20, 2);
  put(fields, 1u << 11, 2);
  put(fields, 0, 2);
  put(fields, 0, 2);
  put(fields, (1 << 5) | 1, 2);
  put(fields, crc, 4);
  put(fields, size, 4);
  put(fields, size, 4);
  put(fields, static_cast<uint32_t>(name.size()), 2);
  put(fields, 0, 2);
  return fields;
}

}  // namespace

Result<std::string> npz_bytes(const std::vector<NpzArray>& arrays) {
  // Room is left for headers and the directory.
  uint64_t total = 0;
  for (const NpzArray& array : arrays) total += array.values->size() * sizeof(float) + 1024;
  if (total > std::numeric_limits<uint32_t>::max() || arrays.size() > 65535) {
    return error("{} arrays of {:.1f} GB together do not fit a .npz file", arrays.size(),
                 static_cast<double>(total) * 1e-9);
  }
  std::string bytes, directory;
  bytes.reserve(total);
  for (const NpzArray& array : arrays) {
    const std::string name = array.name + ".npy";
    const std::string content = npy_bytes(array.shape, *array.values);
    const std::string fields =
        member_fields(crc32(content), static_cast<uint32_t>(content.size()), name);
    directory += "PK\x01\x02";
    put(directory, 20, 2);
    directory += fields;
    put(directory, 0, 2 + 2 + 2);  // no comment, first disk, no attributes
    put(directory, 0, 4);
    put(directory, static_cast<uint32_t>(bytes.size()), 4);
    directory += name;
    bytes += "PK\x03\x04" + fields + name + content;
  }
  const auto start = static_cast<uint32_t>(bytes.size());
  bytes += directory + "PK\x05\x06";
  put(bytes, 0, 4);
  put(bytes, static_cast<uint32_t>(arrays.size()), 2);
  put(bytes, static_cast<uint32_t>(arrays.size()), 2);
  put(bytes, static_cast<uint32_t>(directory.size()), 4);
  put(bytes, start, 4);
  put(bytes, 0, 2);
  return bytes;
}

}  // namespace emulsion
