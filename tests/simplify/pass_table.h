// Tables of before and after for simplify()'s passes, in the text form without names; values are
// numbered as they come.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "simplify/simplify.h"

namespace emulsion {

struct Case {
  const char* what;
  const char* before;  // lines of the text form without names
  const char* after;   // null: unchanged
};

// "%1 = op <- %0 : shape" lines with names put in.
inline Network network_of(const std::string& lines) {
  std::string text = "network \"\"\n", line;
  int count = 0;
  for (size_t at = 0; at < lines.size();) {
    const size_t end = std::min(lines.find('\n', at), lines.size());
    line = lines.substr(at, end - at);
    at = end + 1;
    if (line.empty()) continue;
    ++count;
    if (line.starts_with("input")) line += fmt::format(" \"v{}\"", count);
    if (line.starts_with("%")) line += fmt::format(" \"v{}\" \"l{}\"", count, count);
    text += line + "\n";
  }
  Result<Network> network = parse_network(text);
  EXPECT_TRUE(network.ok()) << (network.ok() ? "" : network.error().message) << "\n" << text;
  const Status status = verify(*network);
  EXPECT_TRUE(status.ok()) << (status.ok() ? "" : status.error().message) << "\n" << text;
  return *network;
}

// The text form without names.
inline std::string lines_of(const Network& network) {
  const std::string text = to_text(network);
  std::string lines;
  for (size_t at = text.find('\n') + 1; at < text.size();) {
    const size_t end = text.find('\n', at);
    std::string line = text.substr(at, end - at);
    at = end + 1;
    const size_t names = line.find(" \"");
    lines += line.substr(0, names) + "\n";
  }
  return lines;
}

inline void expect_pass(const std::string& name, const std::vector<Case>& table) {
  std::vector<SimplifyPass> passes = reform_passes();
  passes.insert(passes.end(), simplify_passes().begin(), simplify_passes().end());
  for (const SimplifyPass& pass : passes) {
    if (pass.name != name) continue;
    for (const Case& c : table) {
      const Network before = network_of(c.before);
      const Network result = pass.run(before);
      const Status status = verify(result);
      EXPECT_TRUE(status.ok()) << c.what;
      const std::string expected = lines_of(c.after ? network_of(c.after) : before);
      EXPECT_EQ(lines_of(result), expected) << c.what;
    }
    return;
  }
  FAIL() << "no pass " << name;
}

}  // namespace emulsion
