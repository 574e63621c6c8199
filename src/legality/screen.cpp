#include "legality/screen.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <deque>
#include <mutex>

#include "base/interrupt.h"
#include "base/process.h"
#include "base/random.h"
#include "legality/initial_weights.h"
#include "legality/narrow_network.h"
#include "legality/training_kernels.h"

namespace emulsion {
namespace {

constexpr double k_clear_errors = 2;  // a mean so many standard errors off the bar is clear

// Of each slot the k-th rewrite, for every k: networks that together have every layer there is.
std::vector<Rewrites> covering(const std::map<int, std::vector<Steps>>& choices) {
  std::vector<Rewrites> result;
  for (const auto& [slot, rewrites] : choices) {
    if (rewrites.size() > result.size()) result.resize(rewrites.size());
    for (size_t k = 0; k < rewrites.size(); ++k) {
      if (!rewrites[k].empty()) result[k][slot] = rewrites[k];
    }
  }
  return result;
}

// The same rewrites of a copy with fewer channels: factors divide, but an unroll counts channels.
Rewrites narrowed(Rewrites rewrites, int factor) {
  for (auto& [slot, steps] : rewrites) {
    for (Step& step : steps) {
      if (is_neural(step) && step.word == "unroll") step.factor = std::max(1, step.factor / factor);
    }
  }
  return rewrites;
}

constexpr int64_t k_shared_weights = int64_t{600} << 20;   // bytes
constexpr int64_t k_shared_prefixes = int64_t{400} << 20;  // bytes

// Of all values together: more than a pass keeps.
int64_t bytes_of_values(const Network& network) {
  int64_t count = 0;
  for (const Value& value : network.values) count += element_count(value.shape);
  return count * static_cast<int64_t>(sizeof(float));
}

}  // namespace

// Initial weights by seed and key, with what the engine packs of them, and the original's forward
// passes by seed: a candidate differs from its first rewritten conv on.
class FisherJudge::Shared {
 public:
  explicit Shared(const FisherJudge& judge)
      : judge_(judge),
        prefixes_(std::min<int64_t>(k_candidate_seeds,
                                    k_shared_prefixes / bytes_of_values(judge.narrow_.network))) {}

  WeightSource<float> weights(const TrainingNetwork& network, int seed) {
    return [this, &network, seed](int layer) {
      return layer_weights(network, layer, judge_.weights_seed(seed));
    };
  }

  // None where there is no room for it.
  Result<ScoredPrefix<float>> prefix(int seed, int layers) {
    if (seed >= static_cast<int>(prefixes_.size()) || layers == 0) return ScoredPrefix<float>{};
    Prefix& prefix = prefixes_[seed];
    const std::lock_guard lock(prefix.mutex);
    if (!prefix.pass) {
      const TrainingNetwork& network = judge_.narrow_;
      auto pass = std::make_unique<TrainingPass<float>>(network.network, weights(network, seed),
                                                        *judge_.engine_);
      for (const ValueId value : network.slot_values) pass->observe(value);
      TRY_OK(pass->forward(judge_.images_));
      prefix.pass = std::move(pass);
    }
    return ScoredPrefix<float>{prefix.pass.get(), layers};
  }

 private:
  struct Prefix {
    std::mutex mutex;
    std::unique_ptr<const TrainingPass<float>> pass;
  };

  LayerWeights<float> layer_weights(const TrainingNetwork& network, int layer, uint64_t seed) {
    const auto key = std::pair(seed, network.draws[layer]);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = weights_.find(key); found != weights_.end()) return found->second;
    }
    LayerWeights<float> fresh = initial_weights(network, layer, seed);
    // The values, and these packed for forward and backward.
    const int64_t bytes = 3 * static_cast<int64_t>(fresh.values->size() * sizeof(float));
    const std::lock_guard lock(mutex_);
    if (bytes_ + bytes > k_shared_weights) return fresh;
    fresh.packed = std::make_shared<PackedWeights>();
    const auto [place, inserted] = weights_.try_emplace(key, std::move(fresh));
    if (inserted) bytes_ += bytes;
    return place->second;
  }

  const FisherJudge& judge_;
  std::mutex mutex_;
  std::map<std::pair<uint64_t, std::string>, LayerWeights<float>> weights_;
  int64_t bytes_ = 0;
  std::deque<Prefix> prefixes_;  // by seed
};

Result<FisherJudge> FisherJudge::create(const Network& network,
                                        const std::map<int, std::vector<Steps>>& choices,
                                        const Minibatch& minibatch, ConvEngine<float>& engine,
                                        const ScreenOptions& options) {
  FisherJudge judge(minibatch, engine, options);
  judge.choices_ = choices;
  std::vector<int> slots;
  for (const auto& [slot, rewrites] : choices) slots.push_back(slot);
  TRY(judge.full_, training_network(network, slots, minibatch.images.shape[0]));
  judge.images_ = to_array<float>(minibatch.images);
  judge.narrow_ = judge.full_;
  const std::vector<Rewrites> all = covering(choices);
  for (int factor = options.narrowing; factor > 1; --factor) {
    auto narrow = narrow_network(judge.full_, factor);
    if (!narrow.ok()) continue;
    const bool possible = std::all_of(all.begin(), all.end(), [&](const Rewrites& rewrites) {
      return rewritten(*narrow, narrowed(rewrites, factor)).ok();
    });
    if (!possible) continue;
    judge.narrow_ = std::move(narrow).value();
    judge.narrowing_ = factor;
    break;
  }
  return judge;
}

Status FisherJudge::prepare_screening(const std::function<void(int, int)>& progress) {
  std::vector<TrainingNetwork> networks = {narrow_};
  for (const Rewrites& rewrites : covering(choices_)) {
    TRY(TrainingNetwork candidate, rewritten(narrow_, narrowed(rewrites, narrowing_)));
    networks.push_back(std::move(candidate));
  }
  return engine_->prepare(training_convs(networks), progress);
}

Status FisherJudge::prepare_judging(const std::vector<Rewrites>& candidates,
                                    const std::function<void(int, int)>& progress) {
  std::vector<TrainingNetwork> networks = {full_};
  for (const Rewrites& rewrites : candidates) {
    TRY(TrainingNetwork candidate, rewritten(full_, rewrites));
    networks.push_back(std::move(candidate));
  }
  return engine_->prepare(training_convs(networks), progress);
}

Result<std::vector<Screening>> FisherJudge::screen(const std::vector<Rewrites>& candidates) {
  if (narrow_reference_.log_scores.empty()) TRY_OK(score_reference(narrow_, narrow_reference_));
  Shared shared(*this);
  std::vector<Screening> screenings(candidates.size());
  TRY_OK(in_parallel(static_cast<int>(candidates.size()), [&](int i) -> Status {
    TRY(screenings[i], screen_one(candidates[i], shared));
    return ok();
  }));
  return screenings;
}

Result<std::vector<Verdict>> FisherJudge::judge_exactly(const std::vector<Rewrites>& candidates,
                                                        LegalityRule rule) {
  std::vector<Verdict> verdicts(candidates.size());
  if (rule == LegalityRule::none) {
    for (Verdict& verdict : verdicts) verdict.rule = rule;
    return verdicts;
  }
  if (full_reference_.log_scores.empty()) TRY_OK(score_reference(full_, full_reference_));
  TRY_OK(in_parallel(static_cast<int>(candidates.size()), [&](int i) -> Status {
    TRY(const TrainingNetwork candidate, rewritten(full_, candidates[i]));
    TRY(verdicts[i], judge(rule, full_reference_, [&](int seed) -> Result<double> {
          TRY(const LogScore score, log_score(candidate, seed));
          return score.value;
        }));
    return ok();
  }));
  return verdicts;
}

uint64_t FisherJudge::weights_seed(int seed) const {
  return mix_bits(options_.seed) + static_cast<uint64_t>(seed);
}

Result<FisherJudge::LogScore> FisherJudge::log_score(const TrainingNetwork& network,
                                                     int seed) const {
  return log_score(network, std::numeric_limits<double>::infinity(),
                   [&](int layer) { return initial_weights(network, layer, weights_seed(seed)); },
                   {});
}

Result<FisherJudge::LogScore> FisherJudge::log_score(const TrainingNetwork& network, double enough,
                                                     const WeightSource<float>& weights,
                                                     const ScoredPrefix<float>& prefix) const {
  if (interrupted() || (options_.stop && options_.stop())) {
    return Error{"stopped before all networks were scored", ExitCode::interrupted};
  }
  TRY(const FisherScore score, fisher_score<float>(network, images_, minibatch_->labels, weights,
                                                   *engine_, std::exp(enough), prefix));
  if (!std::isfinite(score.total)) {
    return error("the score is not finite: the images' values are too large");
  }
  return LogScore{std::log(std::max(score.total, 1e-300)), !score.complete};
}

Status FisherJudge::score_reference(const TrainingNetwork& network, Reference& reference) const {
  std::vector<double> scores(k_reference_seeds);
  TRY_OK(in_parallel(k_reference_seeds, [&](int seed) -> Status {
    TRY(const LogScore score, log_score(network, seed));
    scores[seed] = score.value;
    return ok();
  }));
  reference.log_scores = std::move(scores);
  return ok();
}

Result<Screening> FisherJudge::screen_one(const Rewrites& rewrites, Shared& shared) const {
  TRY(const TrainingNetwork candidate, rewritten(narrow_, narrowed(rewrites, narrowing_)));
  const Reference& reference = narrow_reference_;
  // The layers before the first rewritten conv are the original's.
  int same = 0;
  while (same < static_cast<int>(narrow_.convs.size())) {
    const auto found = rewrites.find(narrow_.convs[same]);
    if (found != rewrites.end() && !found->second.empty()) break;
    ++same;
  }
  // As at full width, where scores scatter less.
  const double bar = k_rejecting_log_ratio;
  Screening result;
  double sum = 0;
  for (int seed = 0; seed < k_candidate_seeds; ++seed) {
    const size_t seeds = seed + 1;
    // A sum so large that the mean over all seeds is clear of the bar.
    const double margin = k_clear_errors * missing_error(reference, result.log_scores, seeds);
    const double enough = (reference.mean() + bar + margin) * static_cast<double>(seeds) - sum;
    TRY(const ScoredPrefix<float> prefix, shared.prefix(seed, same));
    TRY(const LogScore score,
        log_score(candidate, enough, shared.weights(candidate, seed), prefix));
    result.log_scores.push_back(score.value);
    result.at_least = score.at_least;
    sum += score.value;
    result.log_ratio = sum / static_cast<double>(seeds) - reference.mean();
    result.standard_error = mean_error(reference, result.log_scores, seeds);
    result.passes = result.log_ratio >= bar;
    const double distance = std::abs(result.log_ratio - bar);
    result.flip_probability = flip_probability(distance, result.standard_error);
    if (score.at_least ||
        distance > k_clear_errors * missing_error(reference, result.log_scores, seeds)) {
      break;
    }
  }
  return result;
}

// The error with the smallest index, if there is any.
Status FisherJudge::in_parallel(int count, const std::function<Status(int)>& job) const {
  std::vector<Status> statuses(count, ok());
  std::atomic<int> done = 0;
  std::atomic<bool> failed = false;
  std::mutex mutex;
  parallel_for(count, std::max(1, options_.workers), [&](int i) {
    if (failed) return;
    statuses[i] = job(i);
    if (!statuses[i].ok()) failed = true;
    ++done;
    if (!options_.progress) return;
    const std::lock_guard lock(mutex);
    options_.progress(done, count);
  });
  for (const Status& status : statuses) TRY_OK(status);
  return ok();
}

}  // namespace emulsion
