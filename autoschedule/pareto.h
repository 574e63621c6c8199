// The Pareto front of configurations: no other is as fast and keeps as many multiplies. Multiplies
// kept, not scores, rank what is legal: among legal networks they predict the accuracy that is
// reached better.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "legality/verdict.h"

namespace emulsion {

struct Candidate {
  double ms = 0;  // predicted; not finite: never on a front
  int64_t multiplies = 0;
};

// Indices of the front among the allowed, slowest first. Of equals the first counts.
std::vector<int> pareto_front(const std::vector<Candidate>& candidates,
                              const std::vector<bool>& allowed);

// Verdicts by candidate; those without one have not been judged.
using Verdicts = std::vector<std::optional<Verdict>>;

// The front of the legal candidates.
std::vector<int> legal_front(const std::vector<Candidate>& candidates, const Verdicts& verdicts);

// Judges until the front of the legal candidates is known, and no others: only those that would be
// on the front if they were legal. Each verdict depends on its candidate alone, so the order does
// not matter; up to `threads` are judged at once. stop() is asked before each. Returns whether the
// front is complete.
Result<bool> judge_front(const std::vector<Candidate>& candidates, Verdicts& verdicts,
                         const std::function<Result<Verdict>(int)>& judge, int threads,
                         const std::function<bool()>& stop);

}  // namespace emulsion
