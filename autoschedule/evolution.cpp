#include "autoschedule/evolution.h"

#include <algorithm>

#include "autoschedule/pareto.h"
#include "base/random.h"

namespace emulsion {
namespace {

constexpr int k_parents = 48;
constexpr int k_children = 48;  // a generation

struct Population {
  std::vector<Configuration> members;
  std::vector<Candidate> candidates;

  void add(const AdditiveTable& table, Configuration configuration) {
    candidates.push_back({table.ms(configuration), table.loss(configuration)});
    members.push_back(std::move(configuration));
  }
  // Leaves the front, slowest first.
  void keep_front() {
    Population kept;
    for (const int i : pareto_front(candidates, std::vector<bool>(members.size(), true))) {
      kept.members.push_back(std::move(members[i]));
      kept.candidates.push_back(candidates[i]);
    }
    *this = std::move(kept);
  }
};

// Even along the front, so that its dense parts do not bear all children.
int parent(const RandomStream& random, uint64_t draw, size_t size) {
  const size_t parents = std::min<size_t>(size, k_parents);
  const size_t place = random.below(draw, parents);
  return static_cast<int>(parents == 1 ? 0 : place * (size - 1) / (parents - 1));
}

Configuration child(const SearchSpace& space, const Population& population,
                    const RandomStream& random) {
  const Configuration& mother = population.members[parent(random, 0, population.members.size())];
  const Configuration& father = population.members[parent(random, 1, population.members.size())];
  // Of one slot on average, in some children of many.
  const double mutation = random.uniform(2, 0, 4) / static_cast<double>(space.slots.size());
  uint64_t draw = 3;
  Configuration result;
  for (size_t s = 0; s < space.slots.size(); ++s) {
    const bool mutated = random.uniform(draw++) < mutation;
    const bool from_mother = random.uniform(draw++) < 0.5;
    const auto fresh = static_cast<int>(random.below(draw++, space.slots[s].choices.size()));
    result.push_back(mutated ? fresh : from_mother ? mother[s] : father[s]);
  }
  return result;
}

}  // namespace

std::vector<Configuration> evolve(const SearchSpace& space, const AdditiveTable& table,
                                  int configurations, uint64_t seed) {
  Population population;
  population.add(table, Configuration(space.slots.size(), 0));
  int looked_at = 0;
  for (; looked_at < std::min(configurations, k_children); ++looked_at) {
    population.add(table, random_configuration(space, seed, looked_at));
  }
  population.keep_front();
  while (looked_at < configurations) {
    const int children = std::min(k_children, configurations - looked_at);
    std::vector<Configuration> born;
    for (int i = 0; i < children; ++i) {
      const RandomStream random(seed, "evolution", static_cast<uint64_t>(looked_at + i));
      born.push_back(child(space, population, random));
    }
    for (Configuration& configuration : born) population.add(table, std::move(configuration));
    population.keep_front();
    looked_at += children;
  }
  return std::move(population.members);
}

}  // namespace emulsion
