// What is explored: a network, the space of its rewrites, and the images it is judged on.
#pragma once

#include <nlohmann/json.hpp>

#include "autoschedule/space.h"
#include "explore/explore_options.h"
#include "explore/minibatch.h"
#include "plan/plan.h"

namespace emulsion {

struct Problem {
  ExploreOptions options;
  std::string target;  // canonical
  Network network;     // as imported
  Network simplified;  // what plans belong to
  Network bare;        // the same without weights
  SearchSpace space;
  LoadedMinibatch minibatch;  // of options.images images
  std::string structure;      // structure_hash(simplified)
};

// Everything that bad input can make fail, before any work.
Result<Problem> load_problem(const Network& network, const ExploreOptions& options);

// Everything that verdicts depend on, as the first line of a state has it.
nlohmann::ordered_json identity(const Problem& problem, Legality legality);

// The first images of the minibatch, as Fisher Potential is scored on them.
Minibatch fisher_minibatch(const Problem& problem);

// The plan that rewrites a network as a configuration says, kernels left to the defaults.
Plan rewriting_plan(const Problem& problem, const Configuration& configuration);

// Of the network that a configuration makes.
int64_t parameters(const Problem& problem, const Configuration& configuration);

}  // namespace emulsion
