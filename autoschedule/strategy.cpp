#include "autoschedule/strategy.h"

#include "autoschedule/evolution.h"
#include "autoschedule/knapsack.h"

namespace emulsion {
namespace {

std::vector<Configuration> at_random(const SearchRequest& request) {
  std::vector<Configuration> result;
  for (int i = 0; i < request.configurations; ++i) {
    result.push_back(random_configuration(request.space, request.seed, i));
  }
  return result;
}

std::vector<Configuration> by_evolution(const SearchRequest& request) {
  return evolve(request.space, request.table, request.configurations, request.seed);
}

std::vector<Configuration> by_knapsack(const SearchRequest& request) {
  return exact_front(request.table);
}

}  // namespace

const std::vector<Strategy>& strategies() {
  static const std::vector<Strategy> table = {
      {"exact", "the whole front of the additive table, by dynamic programming", by_knapsack},
      {"evolve", "evolution of whole-network plans", by_evolution},
      {"random", "random configurations, as in the paper", at_random},
  };
  return table;
}

Result<const Strategy*> find_strategy(const std::string& name) {
  std::string names;
  for (const Strategy& strategy : strategies()) {
    if (name == strategy.name) return &strategy;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", strategy.name);
  }
  return error("unknown strategy '{}': take one of {}", name, names);
}

}  // namespace emulsion
