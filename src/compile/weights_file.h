// The content of NAME.weights: constants one after the other, each 64-byte aligned, equal ones
// once.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace emulsion {

class WeightsFile {
 public:
  // Where the constant lies, in floats from the file's start: a multiple of 16.
  int64_t add(std::string_view content);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::unordered_multimap<std::string, int64_t> places_;  // by content hash
};

}  // namespace emulsion
