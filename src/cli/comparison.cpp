#include "cli/comparison.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

namespace emulsion {

Comparison compare(std::string oracle, const std::vector<Tensor>& got,
                   const std::vector<Tensor>& expected, double tolerance) {
  Comparison comparison{std::move(oracle), 0, tolerance, ""};
  if (got.size() != expected.size()) comparison.difference = INFINITY;
  for (size_t i = 0; i < std::min(got.size(), expected.size()); ++i) {
    comparison.difference =
        std::max(comparison.difference, relative_to_largest(got[i], expected[i]));
  }
  return comparison;
}

void print_table(const std::vector<Comparison>& comparisons) {
  size_t width = 16;
  for (const Comparison& c : comparisons) width = std::max(width, c.oracle.size());
  fmt::print("{:<{}}  {:>18}  {:>9}  verdict\n", "compared with", width, "largest difference",
             "tolerance");
  for (const Comparison& c : comparisons) {
    if (!c.note.empty()) {
      fmt::print("{}: {}\n", c.oracle, c.note);
    } else {
      fmt::print("{:<{}}  {:>18.2e}  {:>9.1e}  {}\n", c.oracle, width, c.difference, c.tolerance,
                 c.holds() ? "ok" : "DIFFERS");
    }
  }
  fmt::print("Differences are relative to the largest output.\n");
}

void print_json(const std::vector<Comparison>& comparisons) {
  nlohmann::json rows = nlohmann::json::array();
  for (const Comparison& c : comparisons) {
    nlohmann::json row = {{"oracle", c.oracle}, {"tolerance", c.tolerance}};
    if (c.note.empty()) {
      row["difference"] = c.difference;
      row["holds"] = c.holds();
    } else {
      row["note"] = c.note;
    }
    rows.push_back(std::move(row));
  }
  fmt::print("{}\n", nlohmann::json{{"comparisons", rows}}.dump(2));
}

}  // namespace emulsion
