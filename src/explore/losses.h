// The additive loss of every choice: what a search trades for time.
#pragma once

#include "autoschedule/exploration_state.h"
#include "explore/problem.h"

namespace emulsion {

struct Losses {
  std::string name;  // "inherit", "multiplies removed"
  std::vector<std::vector<double>> table;  // by slot, by choice
  std::optional<InheritTable> inherit;     // for the first
};

// inherit: the predicted loss of the trained network; else the part of all multiplies that a choice
// removes.
Result<Losses> losses(const Problem& problem, Legality legality, KernelCache& cache,
                      ExplorationState& state);

// Of a configuration, with its standard error; nothing unless losses are inherit's.
std::optional<InheritScore> inherit_score(const Problem& problem, const Losses& losses,
                                          const Configuration& configuration);

}  // namespace emulsion
