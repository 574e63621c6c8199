// The Pareto front of candidates: no other is as fast and gives up as little.
#pragma once

#include <vector>

namespace emulsion {

struct Candidate {
  double ms = 0;  // predicted; not finite: never on a front
  double loss = 0;
};

// Indices of the front among the allowed, slowest first. Of equals the first counts.
std::vector<int> pareto_front(const std::vector<Candidate>& candidates,
                              const std::vector<bool>& allowed);

}  // namespace emulsion
