#include "explore/judge.h"

#include <atomic>
#include <cmath>
#include <mutex>

#include "base/process.h"
#include "base/progress.h"
#include "base/random.h"
#include "legality/training_kernels.h"

namespace emulsion {
namespace {

constexpr int k_kernels_at_once = 16;      // compiled between two looks at the clock
constexpr size_t k_screened_at_once = 16;  // between two writes to disk

}  // namespace

Result<Judge> Judge::create(const Problem& problem, LegalityRule rule, KernelCache& cache,
                            ExplorationState& state, const Stopping& stopping) {
  Judge judge(problem, rule, cache, state, stopping);
  std::vector<int> slots;
  for (const SpaceSlot& slot : problem.space.slots) slots.push_back(slot.conv);
  judge.minibatch_ = std::make_unique<Minibatch>(fisher_minibatch(problem));
  TRY(judge.training_, training_network(problem.network, slots, judge.minibatch_->images.shape[0]));
  judge.engine_ = std::make_unique<KernelEngine>(cache, problem.target);
  return judge;
}

Status Judge::prepare() {
  if (rule_ == LegalityRule::none) return ok();
  TRY_OK(compile_kernels({}, "compiling kernels for legality"));
  return score_original();
}

// The kernels that scoring the original, and it with these rewrites, runs.
Status Judge::compile_kernels(const std::map<int, Steps>& rewrites, const char* title) {
  std::map<int, std::vector<Steps>> lists;
  for (const auto& [conv, steps] : rewrites) lists[conv].push_back(steps);
  TRY(std::vector<KernelSpec> specs, training_kernels(training_, lists, problem_->target));
  std::erase_if(
      specs, [&](const KernelSpec& spec) { return !compiled_.insert(kernel_name(spec)).second; });
  const int total = static_cast<int>(specs.size());
  Progress bar(title, total);
  for (int first = 0; first < total; first += k_kernels_at_once) {
    TRY_OK(stopping_->check("kernels were compiled"));
    const int last = std::min(total, first + k_kernels_at_once);
    (void)cache_->compile({specs.begin() + first, specs.begin() + last},
                          [&](int done, int) { bar.update(first + done); });
  }
  return ok();
}

Result<double> Judge::log_score(const TrainingNetwork& network, int seed) {
  TRY(const FisherScore score,
      fisher_score(network, *minibatch_,
                   mix_bits(problem_->options.seed) + static_cast<uint64_t>(seed), *engine_));
  if (!std::isfinite(score.total)) {
    return error("the score is not finite: the images' values are too large");
  }
  return std::log(std::max(score.total, 1e-300));
}

Status Judge::score_original() {
  reference_.log_scores.assign(k_reference_seeds, 0);
  std::vector<int> open;
  for (int seed = 0; seed < k_reference_seeds; ++seed) {
    const auto known = state_->reference().find(seed);
    if (known == state_->reference().end()) {
      open.push_back(seed);
    } else {
      reference_.log_scores[seed] = known->second;
    }
  }
  Progress bar("scoring the original", static_cast<int64_t>(open.size()));
  std::atomic<int> done = 0;
  std::mutex mutex;
  Status status = ok();
  parallel_for(static_cast<int>(open.size()), cache_->workers(), [&](int i) {
    {
      const std::lock_guard lock(mutex);
      if (!status.ok() || stopping_->now()) return;
    }
    const auto score = log_score(training_, open[i]);
    const Status saved = score.ok() ? state_->add_reference(open[i], *score) : score.error();
    const std::lock_guard lock(mutex);
    if (!saved.ok()) status = saved;
    if (score.ok()) reference_.log_scores[open[i]] = *score;
    bar.update(++done);
  });
  if (status.ok() && done < static_cast<int>(open.size())) {
    reference_.log_scores.clear();
    return stopping_->check("the original was scored");
  }
  return status;
}

std::optional<Verdict> Judge::known(const Configuration& configuration) const {
  const auto found = state_->verdicts().find(configuration_key(problem_->space, configuration));
  return found == state_->verdicts().end() ? std::nullopt : std::optional(found->second);
}

Result<Verdict> Judge::verdict(const Configuration& configuration) {
  if (const auto before = known(configuration)) return *before;
  const std::map<int, Steps> changes = rewrites(problem_->space, configuration);
  TRY_OK(compile_kernels(changes, "compiling kernels for a verdict"));
  TRY(const TrainingNetwork candidate, rewritten(training_, changes));
  // One seed decides many candidates; those that it does not decide want most of the others, which
  // are scored several at a time.
  std::map<int, Result<double>> scores;
  const auto score = [&](int seed) -> Result<double> {
    const int wanted = seed == 0 ? 1 : std::min(cache_->workers(), k_candidate_seeds - seed);
    if (!scores.contains(seed)) {
      TRY_OK(stopping_->check("all was judged"));
      std::mutex mutex;
      parallel_for(wanted, wanted, [&](int i) {
        Result<double> value = log_score(candidate, seed + i);
        const std::lock_guard lock(mutex);
        scores.emplace(seed + i, std::move(value));
      });
    }
    return scores.at(seed);
  };
  TRY(Verdict verdict, judge(rule_, reference_, score));
  TRY_OK(state_->add_verdict(configuration_key(problem_->space, configuration), verdict));
  return verdict;
}

Status Judge::prepare_screening() {
  if (screening_) return ok();
  std::map<int, std::vector<Steps>> choices;
  for (const SpaceSlot& slot : problem_->space.slots) {
    for (const SlotChoice& choice : slot.choices) choices[slot.conv].push_back(choice.rewrite);
  }
  ScreenOptions options;
  options.seed = problem_->options.seed;
  options.workers = cache_->workers();
  options.stop = [this] { return stopping_->now(); };
  TRY(FisherJudge made,
      FisherJudge::create(problem_->simplified, choices, *minibatch_, *engine_, options));
  screening_ = std::make_unique<FisherJudge>(std::move(made));
  Progress bar("compiling kernels for screening");
  return screening_->prepare_screening([&](int done, int) { bar.update(done); });
}

Result<std::vector<Screening>> Judge::screen(const std::vector<Configuration>& configurations) {
  std::vector<const Configuration*> open;
  for (const Configuration& configuration : configurations) {
    if (!screened(configuration)) open.push_back(&configuration);
  }
  if (!open.empty()) TRY_OK(prepare_screening());
  Progress bar("screening configurations", static_cast<int64_t>(open.size()));
  size_t rejected = 0;
  for (size_t first = 0; first < open.size(); first += k_screened_at_once) {
    TRY_OK(stopping_->check("all was screened"));
    const size_t last = std::min(open.size(), first + k_screened_at_once);
    std::vector<Rewrites> batch;
    for (size_t i = first; i < last; ++i) batch.push_back(rewrites(problem_->space, *open[i]));
    auto answers = screening_->screen(batch);
    if (!answers.ok()) {
      TRY_OK(stopping_->check("all was screened"));
      return answers.error();
    }
    for (size_t i = first; i < last; ++i) {
      const Screening& screening = (*answers)[i - first];
      rejected += !screening.passes;
      TRY_OK(state_->add_screening(configuration_key(problem_->space, *open[i]), screening));
    }
    bar.update(static_cast<int64_t>(last), fmt::format("{} rejected", rejected));
  }
  std::vector<Screening> result;
  for (const Configuration& configuration : configurations) {
    result.push_back(*screened(configuration));
  }
  return result;
}

std::optional<Screening> Judge::screened(const Configuration& configuration) const {
  const auto found = state_->screenings().find(configuration_key(problem_->space, configuration));
  return found == state_->screenings().end() ? std::nullopt : std::optional(found->second);
}

}  // namespace emulsion
