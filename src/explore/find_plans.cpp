#include "explore/find_plans.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/progress.h"

namespace emulsion {
namespace {

constexpr double k_fastest = std::numeric_limits<double>::infinity();
constexpr double k_ladder[] = {1.25, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12, 16};
// Prediction and measurement of a speed-up agree when they differ by no more.
constexpr double k_tolerance = 0.03;
// For one wanted speed-up, at most.
constexpr int k_measurements = 5;
constexpr int k_rejections = 24;            // by verdict
constexpr int k_screened_rejections = 128;  // by narrow copies: a second each, and each teaches
constexpr int k_learnt_from = 128;          // random configurations that are screened to learn from
// How much further above the original's capacity a guess must lie after each rejection, at most.
constexpr double k_caution = 0.02, k_most_caution = 0.3;
// Of the guessed loss of capacity against the loss of the table.
constexpr double k_first_weight = 0.25, k_weight_growth = 1.5, k_most_weight = 64;

}  // namespace

std::string wanted_name(double wanted) {
  if (std::isinf(wanted)) return "fastest";
  return wanted == 1 ? "same" : fmt::format("{:g}x", wanted);
}

PlanFinder::PlanFinder(const Problem& problem, Legality legality, const Strategy& strategy,
                       std::vector<std::vector<double>> losses, double most_loss,
                       Measurer& measurer, Judge& judge, const Stopping& stopping)
    : problem_(problem),
      legality_(legality),
      strategy_(strategy),
      losses_(std::move(losses)),
      most_loss_(most_loss),
      measurer_(measurer),
      judge_(judge),
      stopping_(stopping),
      capacity_(problem.space) {}

AdditiveTable PlanFinder::table() const {
  AdditiveTable table = measurer_.times().table();
  for (size_t s = 0; s < table.slots.size(); ++s) {
    for (size_t k = 0; k < table.slots[s].size(); ++k) table.slots[s][k].loss = losses_[s][k];
  }
  return table;
}

// With what verdicts so far say about capacity added to the losses: what a choice lacks of the best
// of its slot.
AdditiveTable PlanFinder::search_table(const std::vector<std::vector<double>>& log_ratios) const {
  AdditiveTable result = table();
  if (capacity_weight_ == 0) return result;
  for (size_t s = 0; s < result.slots.size(); ++s) {
    const double most = *std::max_element(log_ratios[s].begin(), log_ratios[s].end());
    for (size_t k = 0; k < result.slots[s].size(); ++k) {
      result.slots[s][k].loss += capacity_weight_ * (most - log_ratios[s][k]);
    }
  }
  return result;
}

std::vector<Configuration> PlanFinder::proposals() const {
  return proposals(search_table(capacity_.log_ratios()));
}

std::vector<Configuration> PlanFinder::proposals(const AdditiveTable& table) const {
  return strategy_.search(
      {problem_.space, table, problem_.options.configurations, problem_.options.seed});
}

// Among what takes most_ms at most and is guessed to be legal, what loses least; 0: the fastest.
// Capacity weighs as little as that takes. Where nothing is guessed to be legal, what comes
// nearest: its verdict teaches most.
std::optional<PlanFinder::Pick> PlanFinder::pick(double most_ms,
                                                 const std::set<Configuration>& excluded) {
  const bool fastest = most_ms == 0, guess = !capacity_.empty();
  const auto log_ratios = capacity_.log_ratios();
  while (true) {
    const AdditiveTable table = search_table(log_ratios);
    std::optional<Pick> best, nearest;
    double best_loss = 0, nearest_log_ratio = 0;
    for (const Configuration& configuration : proposals(table)) {
      const double ms = table.ms(configuration), loss = table.loss(configuration);
      if (!std::isfinite(ms) || (!fastest && ms > most_ms) || loss > most_loss_) continue;
      if (rejected_.contains(configuration) || excluded.contains(configuration)) continue;
      double log_ratio = 0;
      for (size_t s = 0; s < configuration.size(); ++s) {
        log_ratio += log_ratios[s][configuration[s]];
      }
      if (!nearest || log_ratio > nearest_log_ratio) {
        nearest = Pick{configuration, ms};
        nearest_log_ratio = log_ratio;
      }
      if (guess && log_ratio < least_log_ratio_) continue;
      const bool better =
          !best ||
          (fastest ? ms < best->ms : loss < best_loss || (loss == best_loss && ms < best->ms));
      if (!better) continue;
      best = Pick{configuration, ms};
      best_loss = loss;
    }
    if (best) return best;
    if (!guess || capacity_weight_ == k_most_weight) return fastest ? std::nullopt : nearest;
    capacity_weight_ =
        std::clamp(capacity_weight_ * k_weight_growth, k_first_weight, k_most_weight);
  }
}

void PlanFinder::reject(const Configuration& configuration, double ms, bool screened,
                        Verdict verdict) {
  rejected_.insert(configuration);
  const double original_ms = measurer_.times().table().rest_ms;
  rejections_.push_back({configuration, original_ms / ms, screened, std::move(verdict)});
  least_log_ratio_ = std::min(least_log_ratio_ + k_caution, k_most_caution);
}

Result<bool> PlanFinder::passes(const Configuration& configuration, double ms) {
  if (legality_ == Legality::none || legality_ == Legality::inherit) return true;
  if (legality_ == Legality::fisher) {
    TRY(const std::vector<Screening> screened, judge_.screen({configuration}));
    if (!screened[0].passes) {
      const Screening& s = screened[0];
      capacity_.add(configuration, s.log_ratio);
      reject(configuration, ms, true,
             {false, LegalityRule::fisher, s.log_ratio, s.standard_error, s.flip_probability,
              s.log_scores});
      return false;
    }
  }
  TRY(const Verdict verdict, judge_.verdict(configuration));
  capacity_.add(configuration, verdict.log_ratio);
  if (!verdict.legal) reject(configuration, ms, false, verdict);
  return verdict.legal;
}

// Before the search: what narrow copies say of the random configurations. Those that random search
// would look at are excluded by it; the other strategies learn from a few what costs capacity.
Status PlanFinder::screen() {
  if (legality_ != Legality::fisher) return ok();
  const bool random = std::string(strategy_.name) == "random";
  const int count = random ? problem_.options.configurations
                           : std::min(k_learnt_from, problem_.options.configurations);
  std::vector<Configuration> configurations;
  for (int i = 0; i < count; ++i) {
    configurations.push_back(random_configuration(problem_.space, problem_.options.seed, i));
  }
  TRY(const std::vector<Screening> answers, judge_.screen(configurations));
  screened_ = count;
  for (int i = 0; i < count; ++i) {
    if (i < k_learnt_from) capacity_.add(configurations[i], answers[i].log_ratio);
    if (answers[i].passes) continue;
    ++screened_out_;
    rejected_.insert(configurations[i]);
  }
  return ok();
}

// Chosen, judged, measured; the table is corrected by the measurement and searched again, until
// what it promises is what is measured.
Status PlanFinder::find_one(double wanted, Progress& bar) {
  std::optional<FoundPlan> best;
  std::set<Configuration> too_slow;
  double margin = 1;
  int measured = 0, rejected = 0, screened_out = 0;
  const auto loss = [&](const Configuration& c) { return table().loss(c); };
  while (measured < k_measurements && rejected < k_rejections &&
         screened_out < k_screened_rejections) {
    TRY_OK(stopping_.check("every plan was measured"));
    const double original_ms = measurer_.times().table().rest_ms;
    const double most_ms = wanted == k_fastest ? 0 : original_ms / wanted * margin;
    const std::optional<Pick> found = pick(most_ms, too_slow);
    if (!found || (best && best->configuration == found->configuration)) break;
    TRY(const bool legal, passes(found->configuration, found->ms));
    if (!legal) {
      ++(rejections_.back().screened ? screened_out : rejected);
      bar.note(fmt::format("{}: {} rejected", wanted_name(wanted), rejected + screened_out));
      continue;
    }
    TRY(const bool more, measurer_.time_more_ways(found->configuration));
    if (more) continue;
    FoundPlan plan;
    plan.wanted = wanted;
    plan.configuration = found->configuration;
    plan.predicted_ms = found->ms;
    plan.original_predicted_ms = original_ms;
    TRY(plan.plan, measurer_.plan(plan.configuration));
    TRY(plan.time, measurer_.time_network(plan.configuration));
    plan.verdict = judge_.known(plan.configuration);
    ++measured;
    bar.note(fmt::format("{}: {:.2f}x measured, {:.2f}x predicted", wanted_name(wanted),
                         plan.speedup(), plan.predicted_speedup()));
    const bool fast_enough = wanted == k_fastest || plan.speedup() >= wanted;
    const bool agrees = std::abs(plan.speedup() / plan.predicted_speedup() - 1) <= k_tolerance;
    if (!fast_enough) {
      // What the corrected table still promises too much is asked for beforehand.
      const AdditiveTable corrected = measurer_.times().table();
      const double promised = corrected.rest_ms / corrected.ms(plan.configuration);
      margin *= std::min(1.0, plan.speedup() / promised) * 0.998;
      too_slow.insert(plan.configuration);
      continue;
    }
    const bool better =
        !best || (wanted == k_fastest ? plan.speedup() > best->speedup()
                                      : loss(plan.configuration) < loss(best->configuration));
    if (better) best = std::move(plan);
    if (agrees) break;
  }
  if (best) plans_.push_back(std::move(*best));
  return ok();
}

std::vector<double> PlanFinder::wanted() const {
  const ExploreOptions& options = problem_.options;
  if (options.target_speedup > 0) return {options.target_speedup};
  if (options.target_ms > 0) {
    return {measurer_.same_function_time().min_ms / options.target_ms};
  }
  std::vector<double> result(std::begin(k_ladder), std::end(k_ladder));
  result.push_back(k_fastest);
  return result;
}

Status PlanFinder::find() {
  const Configuration same(problem_.space.slots.size(), 0);
  FoundPlan original;
  original.configuration = same;
  original.plan = measurer_.same_function();
  const NetworkRecord& time = measurer_.same_function_time();
  original.time = {time.min_ms,    time.median_ms, time.min_ms,
                   time.median_ms, time.parts_ms,  time.kernels_ms};
  original.predicted_ms = original.original_predicted_ms = measurer_.times().table().rest_ms;
  plans_.push_back(original);
  TRY_OK(screen());

  const std::vector<double> ladder = wanted();
  Progress bar("measuring plans", static_cast<int64_t>(ladder.size()));
  int done = 0, in_vain = 0;
  for (const double speedup : ladder) {
    const size_t before = plans_.size();
    // Faster than two that were not found is not there either; the fastest may be.
    if (in_vain < 2 || speedup == k_fastest) TRY_OK(find_one(speedup, bar));
    in_vain = plans_.size() > before ? 0 : in_vain + 1;
    bar.update(++done, fmt::format("{} found, {} rejected", plans_.size(), rejections_.size()));
  }
  complete_ = true;
  return ok();
}

}  // namespace emulsion
