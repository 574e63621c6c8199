// Small helpers to write C text. Internal to compile/.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// The text with every @KEY@ replaced by its value, once over (values are not searched again). A key
// that is missing is our bug.
std::string fill(const std::string& text,
                 const std::vector<std::pair<std::string, std::string>>& values);

// A C string literal, quotes included.
std::string c_string(const std::string& text);

// The text with control characters replaced by spaces, so that it fits in a // comment (no
// backslash either, which would continue the comment).
std::string one_line(const std::string& text);

}  // namespace emulsion
