#include "legality/screen.h"

#include <algorithm>
#include <atomic>
#include <cmath>
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

constexpr int64_t k_cached_bytes = int64_t{600} << 20;

}  // namespace

// Initial weights by seed and key, with what the engine packs of them: candidates share layers.
class FisherJudge::WeightCache {
 public:
  LayerWeights<float> get(const TrainingNetwork& network, int layer, uint64_t seed) {
    const auto key = std::pair(seed, network.draws[layer]);
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = weights_.find(key); found != weights_.end()) return found->second;
    }
    LayerWeights<float> fresh = initial_weights(network, layer, seed);
    // The values, and these packed for forward and backward.
    const int64_t bytes = 3 * static_cast<int64_t>(fresh.values->size() * sizeof(float));
    const std::lock_guard lock(mutex_);
    if (bytes_ + bytes > k_cached_bytes) return fresh;
    fresh.packed = std::make_shared<PackedWeights>();
    const auto [place, inserted] = weights_.try_emplace(key, std::move(fresh));
    if (inserted) bytes_ += bytes;
    return place->second;
  }

 private:
  std::mutex mutex_;
  std::map<std::pair<uint64_t, std::string>, LayerWeights<float>> weights_;
  int64_t bytes_ = 0;
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
      return rewritten(*narrow, rewrites).ok();
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
    TRY(TrainingNetwork candidate, rewritten(narrow_, rewrites));
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
  WeightCache cache;
  if (narrow_reference_.log_scores.empty()) {
    TRY_OK(score_reference(narrow_, narrow_reference_, &cache));
  }
  std::vector<Screening> screenings(candidates.size());
  TRY_OK(in_parallel(static_cast<int>(candidates.size()), [&](int i) -> Status {
    TRY(screenings[i], screen_one(candidates[i], cache));
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
  if (full_reference_.log_scores.empty()) TRY_OK(score_reference(full_, full_reference_, nullptr));
  TRY_OK(in_parallel(static_cast<int>(candidates.size()), [&](int i) -> Status {
    TRY(const TrainingNetwork candidate, rewritten(full_, candidates[i]));
    TRY(verdicts[i], judge(rule, full_reference_, [&](int seed) -> Result<double> {
          TRY(const LogScore score,
              log_score(candidate, seed, std::numeric_limits<double>::infinity(), nullptr));
          return score.value;
        }));
    return ok();
  }));
  return verdicts;
}

Result<FisherJudge::LogScore> FisherJudge::log_score(const TrainingNetwork& network, int seed,
                                                     double enough, WeightCache* cache) const {
  if (interrupted() || (options_.stop && options_.stop())) {
    return Error{"stopped before all networks were scored", ExitCode::interrupted};
  }
  const uint64_t weights_seed = mix_bits(options_.seed) + static_cast<uint64_t>(seed);
  TRY(const FisherScore score,
      fisher_score<float>(
          network, images_, minibatch_->labels,
          [&](int layer) {
            return cache ? cache->get(network, layer, weights_seed)
                         : LayerWeights<float>(initial_weights(network, layer, weights_seed));
          },
          *engine_, std::exp(enough)));
  if (!std::isfinite(score.total)) {
    return error("the score is not finite: the images' values are too large");
  }
  return LogScore{std::log(std::max(score.total, 1e-300)), !score.complete};
}

Status FisherJudge::score_reference(const TrainingNetwork& network, Reference& reference,
                                    WeightCache* cache) const {
  std::vector<double> scores(k_reference_seeds);
  TRY_OK(in_parallel(k_reference_seeds, [&](int seed) -> Status {
    TRY(const LogScore score,
        log_score(network, seed, std::numeric_limits<double>::infinity(), cache));
    scores[seed] = score.value;
    return ok();
  }));
  reference.log_scores = std::move(scores);
  return ok();
}

Result<Screening> FisherJudge::screen_one(const Rewrites& rewrites, WeightCache& cache) const {
  TRY(const TrainingNetwork candidate, rewritten(narrow_, rewrites));
  const Reference& reference = narrow_reference_;
  const double bar = rejecting_bar(reference);
  Screening result;
  double sum = 0;
  for (int seed = 0; seed < k_candidate_seeds; ++seed) {
    const size_t seeds = seed + 1;
    // A sum so large that the mean over all seeds is clear of the bar.
    const double margin = k_clear_errors * missing_error(reference, result.log_scores, seeds);
    const double enough = (reference.mean() + bar + margin) * static_cast<double>(seeds) - sum;
    TRY(const LogScore score, log_score(candidate, seed, enough, &cache));
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
