#include <algorithm>

#include "base/divide.h"
#include "lower/conv_chain.h"
#include "lower/conv_templates.h"

namespace emulsion {

namespace {

constexpr size_t k_most_chain_schedules = 12;

// Schedules of a step of a stage, and the cycles of a step.
std::vector<CostedSchedule> step_schedules(const ChainStage& stage, const Machine& machine) {
  return stage.depthwise ? depthwise_schedules(stage.nest, machine, 1, ScheduleUse::rows)
                         : conv_schedules(stage.nest, machine, 1, ScheduleUse::rows);
}

// The last conv's schedule from one of a row of it: bands and rows outside.
std::string with_bands(const std::string& row, bool depthwise, int64_t band, int64_t rows) {
  const bool split = band < rows;
  StepText steps;
  if (split) steps.add("split y {}", band);
  if (!row.empty()) steps.add("{}", row);
  // A depthwise conv's row has its channels inside y (and x) already.
  if (!depthwise) steps.add("interchange co y");
  if (split) steps.add("interchange {} yi", depthwise ? "x" : "co");
  if (split) steps.add("parallel y");
  return steps.text();
}

}  // namespace

std::vector<CostedSchedule> chain_schedules(const ConvChain& chain, const Shape& input,
                                            const Machine& machine, int threads) {
  const std::vector<ChainStage> stages = chain_stages(chain, input, 1);
  const int64_t rows = stages.back().output[2];
  // Of the last one, a row is scheduled as the others' are.
  ChainStage row = stages.back();
  Conv last = *row.conv;
  const Shape& taps = last.weight->shape;
  const int64_t columns = row.input[3] + last.pad[1] + last.pad[3];
  last.pad = {0, 0, 0, 0};  // its scratch holds the padding
  row.nest = conv_nest(last, {1, row.input[1], (taps[2] - 1) * last.dilation[0] + 1, columns});
  std::vector<std::vector<CostedSchedule>> of_stage;
  for (size_t i = 0; i + 1 < stages.size(); ++i)
    of_stage.push_back(step_schedules(stages[i], machine));
  of_stage.push_back(step_schedules(row, machine));

  std::vector<CostedSchedule> result;
  const auto add = [&](int64_t bands, size_t stage, size_t alternative) {
    const int64_t band = divide_up(rows, bands);
    const double steps = static_cast<double>(band * divide_up(divide_up(rows, band), threads));
    double cycles = 0;
    std::vector<std::string> texts;
    for (size_t i = 0; i < stages.size(); ++i) {
      const CostedSchedule& s = of_stage[i][i == stage ? alternative : 0];
      // The first step of a band computes the rows above as well.
      const double above = stages[i].slides() ? static_cast<double>(stages[i].rows_held) /
                                                    static_cast<double>(stages[i].rows_a_step)
                                              : 0;
      cycles += s.cycles * (steps + above);
      texts.push_back(i + 1 < stages.size() ? s.steps
                                            : with_bands(s.steps, row.depthwise, band, rows));
    }
    cycles *= static_cast<double>(input[0]);
    if (result.size() < k_most_chain_schedules) add_schedule(result, cycles, join_schedules(texts));
  };
  // Two bands for one thread: a kernel may run on more than it was made for.
  const int64_t bands = std::max(2, threads);
  add(bands, 0, 0);
  for (size_t stage = 0; stage < stages.size(); ++stage)
    for (size_t i = 1; i < std::min<size_t>(3, of_stage[stage].size()); ++i) add(bands, stage, i);
  add(2 * bands, 0, 0);
  return result;
}

}  // namespace emulsion
