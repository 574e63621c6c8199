// The additive loss of every choice: what a search trades for time.
#pragma once

#include "autoschedule/exploration_state.h"
#include "explore/problem.h"
#include "legality/calibrate.h"

namespace emulsion {

struct Losses {
  std::string name;                        // "inherit", "multiplies removed"
  std::vector<std::vector<double>> table;  // by slot, by choice
  std::optional<InheritTable> inherit;     // for the first
  std::optional<Calibration> calibration;  // of it, when fine-tunes were given
  double tolerance = 0;                    // of accuracy, that the calibration is for
  int fine_tunes = 0;
};

// inherit: the predicted loss of the trained network; else the part of all multiplies that a choice
// removes.
Result<Losses> losses(const Problem& problem, Legality legality, KernelCache& cache,
                      ExplorationState& state);

// The images and labels that a trained network's loss is predicted on: no labels when they would be
// the model's own answers.
Minibatch inherit_minibatch(const Problem& problem);

// Of a configuration, with its standard error; nothing unless losses are inherit's.
std::optional<InheritScore> inherit_score(const Problem& problem, const Losses& losses,
                                          const Configuration& configuration);

}  // namespace emulsion
