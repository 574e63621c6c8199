#include "compile/driver_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "base/result.h"

namespace emulsion {

std::string fill(const std::string& text,
                 const std::vector<std::pair<std::string, std::string>>& values) {
  std::string result;
  size_t position = 0;
  while (true) {
    const size_t open = text.find('@', position);
    result += text.substr(position, open - position);
    if (open == std::string::npos) return result;
    const size_t close = text.find('@', open + 1);
    EMULSION_CHECK(close != std::string::npos);
    const std::string key = text.substr(open + 1, close - open - 1);
    const auto value =
        std::find_if(values.begin(), values.end(), [&](const auto& v) { return v.first == key; });
    EMULSION_CHECK(value != values.end());
    result += value->second;
    position = close + 1;
  }
}

std::string c_string(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    // Octal escapes have at most three digits, so that what follows cannot join them; '?' starts
    // trigraphs.
    if (c == '"' || c == '\\' || c == '?' || byte < 32 || byte >= 127) {
      result += fmt::format("\\{:03o}", byte);
    } else {
      result += c;
    }
  }
  return result + "\"";
}

std::string one_line(const std::string& text) {
  std::string result = text;
  for (char& c : result) {
    if (std::iscntrl(static_cast<unsigned char>(c)) || c == '\\') c = ' ';
  }
  return result;
}

}  // namespace emulsion
