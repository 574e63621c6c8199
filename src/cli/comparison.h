// A compiled network's outputs next to what an oracle says they are, and the table of such
// comparisons.
#pragma once

#include <string>
#include <vector>

#include "network/tensor.h"

namespace emulsion {

// One line of the table. Differences are relative to the largest output expected; infinite where
// shapes or the places of NaN and infinities differ.
struct Comparison {
  std::string oracle;
  double difference = 0, tolerance = 0;
  std::string note;  // why there is no comparison; then it counts neither way

  bool holds() const { return !note.empty() || difference <= tolerance; }
};

// The worst of the outputs.
Comparison compare(std::string oracle, const std::vector<Tensor>& got,
                   const std::vector<Tensor>& expected, double tolerance);

void print_table(const std::vector<Comparison>& comparisons);
void print_json(const std::vector<Comparison>& comparisons);

}  // namespace emulsion
