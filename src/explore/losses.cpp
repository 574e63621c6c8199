#include "explore/losses.h"

#include "base/progress.h"

namespace emulsion {
namespace {

Result<InheritTable> predicted(const Problem& problem, KernelCache& cache) {
  std::map<int, std::vector<Steps>> rewrites;
  for (const SpaceSlot& slot : problem.space.slots) {
    std::vector<Steps>& list = rewrites[slot.conv];
    for (const SlotChoice& choice : slot.choices) list.push_back(choice.rewrite);
  }
  KernelEngine engine(cache, problem.target);
  Progress compiling("compiling kernels for predicted losses"), computing("predicting losses");
  InheritOptions options;
  options.seed = problem.options.seed;
  options.workers = cache.workers();
  options.compiling = [&](int done, int all) {
    compiling.update(done, fmt::format("of {}", all));
  };
  options.computing = [&](int done, int all) {
    computing.update(done, fmt::format("of {}", all));
  };
  Minibatch minibatch = problem.minibatch.minibatch;
  if (problem.minibatch.answers_wanted) minibatch.labels.clear();  // drawn from the model's output
  return inherit_table(problem.simplified, rewrites, minibatch, engine, options);
}

}  // namespace

Result<Losses> losses(const Problem& problem, Legality legality, KernelCache& cache,
                      ExplorationState& state) {
  Losses result;
  if (legality == Legality::inherit) {
    result.name = "inherit";
    if (!state.inherit()) {
      TRY(const InheritTable table, predicted(problem, cache));
      TRY_OK(state.add_inherit(table));
    }
    result.inherit = state.inherit();
    for (const SpaceSlot& slot : problem.space.slots) {
      std::vector<double>& row = result.table.emplace_back();
      for (const InheritScore& score : result.inherit->scores.at(slot.conv)) {
        row.push_back(score.value);
      }
    }
    return result;
  }
  result.name = "multiplies removed";
  for (const SpaceSlot& slot : problem.space.slots) {
    std::vector<double>& row = result.table.emplace_back();
    for (const SlotChoice& choice : slot.choices) {
      row.push_back(static_cast<double>(slot.choices[0].multiplies - choice.multiplies) /
                    static_cast<double>(problem.space.multiplies));
    }
  }
  return result;
}

std::optional<InheritScore> inherit_score(const Problem& problem, const Losses& losses,
                                          const Configuration& configuration) {
  if (!losses.inherit) return std::nullopt;
  std::map<int, int> choice;
  for (size_t s = 0; s < configuration.size(); ++s) {
    choice[problem.space.slots[s].conv] = configuration[s];
  }
  return losses.inherit->total(choice);
}

}  // namespace emulsion
