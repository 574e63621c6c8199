#include "explore/losses.h"

#include "base/file.h"
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
  options.compiling = [&](int done, int all) { compiling.update(done, fmt::format("of {}", all)); };
  options.computing = [&](int done, int all) { computing.update(done, fmt::format("of {}", all)); };
  return inherit_table(problem.simplified, rewrites, inherit_minibatch(problem), engine, options);
}

// The configuration that a plan's rewrites are.
Result<Configuration> configuration_of(const Problem& problem, const Plan& plan,
                                       const std::string& file) {
  const std::map<int, Steps> wanted = rewrites(plan);
  Configuration configuration(problem.space.slots.size(), 0);
  size_t found = 0;
  for (size_t s = 0; s < configuration.size(); ++s) {
    const SpaceSlot& slot = problem.space.slots[s];
    const auto steps = wanted.find(slot.conv);
    if (steps == wanted.end()) continue;
    for (size_t k = 1; k < slot.choices.size(); ++k) {
      if (slot.choices[k].rewrite == steps->second) configuration[s] = static_cast<int>(k);
    }
    found += configuration[s] > 0;
  }
  if (found < wanted.size()) {
    return error("{}: {} of its {} rewrites are not in the space that is searched", file,
                 wanted.size() - found, wanted.size());
  }
  return configuration;
}

Status add_calibration(const Problem& problem, Losses& losses) {
  const std::filesystem::path& file = problem.options.calibration;
  TRY(const std::string text, read_file(file));
  TRY(const FineTunes fine_tunes, parse_fine_tunes(text, file.string()));
  std::vector<ScoredFineTune> scored;
  for (const FineTune& run : fine_tunes.runs) {
    const std::filesystem::path path = file.parent_path() / run.plan;
    TRY(const std::string plan_text, read_file(path));
    TRY(const Plan plan, parse_plan(plan_text, path.string()));
    const Status fits = check(plan, problem.simplified);
    if (!fits.ok()) return fits.error().in(path.string());
    TRY(const Configuration configuration, configuration_of(problem, plan, path.string()));
    scored.push_back({inherit_score(problem, losses, configuration)->value, run.accuracy});
  }
  auto calibration = calibrate(scored, fine_tunes.original_accuracy, fine_tunes.tolerance);
  if (!calibration.ok()) return calibration.error().in(file.string());
  losses.calibration = *calibration;
  losses.tolerance = fine_tunes.tolerance;
  losses.fine_tunes = static_cast<int>(scored.size());
  return ok();
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
    if (!problem.options.calibration.empty()) TRY_OK(add_calibration(problem, result));
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

Minibatch inherit_minibatch(const Problem& problem) {
  Minibatch minibatch = problem.minibatch.minibatch;
  if (problem.minibatch.answers_wanted) minibatch.labels.clear();
  return minibatch;
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
