#include "compile/weights_file.h"

#include <cstring>
#include <iterator>

#include "base/divide.h"
#include "base/hash.h"
#include "lower/algorithm.h"

namespace emulsion {

int64_t WeightsFile::add(std::string_view content) {
  const std::string hash = hash_text(content);
  const auto [begin, end] = places_.equal_range(hash);
  for (auto place = begin; place != end; ++place) {
    const size_t offset = static_cast<size_t>(place->second) * sizeof(float);
    if (bytes_.size() - offset >= content.size() &&
        std::memcmp(bytes_.data() + offset, content.data(), content.size()) == 0) {
      return place->second;
    }
  }
  bytes_.resize(round_up(std::ssize(bytes_), k_constant_alignment), '\0');
  const auto offset = static_cast<int64_t>(bytes_.size() / sizeof(float));
  bytes_.append(content);
  places_.emplace(hash, offset);
  return offset;
}

}  // namespace emulsion
