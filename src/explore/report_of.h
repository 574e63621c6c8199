// What an exploration found, as its report has it.
#pragma once

#include "explore/find_plans.h"
#include "explore/losses.h"
#include "explore/trained.h"
#include "report/exploration_report.h"

namespace emulsion {

// What is found out about the plans only, for the reader: it decides nothing.
struct Details {
  std::vector<std::optional<Verdict>> fisher;  // by plan
  std::vector<double> zero_shot_loss;          // by plan
};
Result<Details> detail(const Problem& problem, const Losses& losses, Judge& judge,
                       const PlanFinder& finder, ConvEngine<float>& engine, int workers,
                       std::optional<ZeroShotJudge>& zero_shot, const Stopping& stopping);

ExplorationReport report_of(const Problem& problem, Legality legality, const Trained& trained,
                            const Losses& losses, const Measurer& measurer, const Judge& judge,
                            const PlanFinder& finder, const Details& details);

}  // namespace emulsion
