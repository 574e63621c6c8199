// Fisher verdicts on many rewritten networks of one original. Screening scores a narrow copy of
// each network on the minibatch, a seed at a time, until the answer that k_candidate_seeds of them
// would give is clear by two standard errors; it decides what is worth judging. Only judge_exactly,
// at full width by the rule of verdict.h, calls a network legal.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "legality/fisher.h"
#include "legality/verdict.h"

namespace emulsion {

using Rewrites = std::map<int, Steps>;  // by position in conv_layers()

struct ScreenOptions {
  uint64_t seed = 0;
  int workers = 1;             // candidates at a time, one a thread; answers do not depend on it
  int narrowing = 4;           // the most that screening divides channels by; 1: not at all
  std::function<bool()> stop;  // asked between seeds; what is not done then is an error
  std::function<void(int done, int all)> progress;
};

// What a narrow copy's scores say of a candidate.
struct Screening {
  bool passes = true;              // worth judging exactly
  double log_ratio = 0;            // mean over seeds of log(score / reference)
  double standard_error = 0;       // of log_ratio
  double flip_probability = 0;     // that other seeds give the other answer, errors taken as normal
  bool at_least = false;           // the last seed's score was clear before it was complete
  std::vector<double> log_scores;  // by seed
};

class FisherJudge {
 public:
  // choices: for each slot the rewrites that candidates may take. The network is divided by the
  // largest factor up to `narrowing` that leaves all of them possible. Minibatch and engine outlive
  // the judge.
  static Result<FisherJudge> create(const Network& network,
                                    const std::map<int, std::vector<Steps>>& choices,
                                    const Minibatch& minibatch, ConvEngine<float>& engine,
                                    const ScreenOptions& options);

  // Compiles what screening runs, all choices of all slots, so that no candidate waits for it.
  Status prepare_screening(const std::function<void(int done, int all)>& progress = nullptr);
  // The same for judging these candidates exactly.
  Status prepare_judging(const std::vector<Rewrites>& candidates,
                         const std::function<void(int done, int all)>& progress = nullptr);

  // One answer a candidate, in order.
  Result<std::vector<Screening>> screen(const std::vector<Rewrites>& candidates);
  Result<std::vector<Verdict>> judge_exactly(const std::vector<Rewrites>& candidates,
                                             LegalityRule rule = LegalityRule::fisher);

  // What the channels are divided by when screening.
  int narrowing() const { return narrowing_; }

 private:
  FisherJudge(const Minibatch& minibatch, ConvEngine<float>& engine, ScreenOptions options)
      : minibatch_(&minibatch), engine_(&engine), options_(std::move(options)) {}

  struct LogScore {
    double value = 0;
    bool at_least = false;
  };
  class Shared;  // what candidates have in common while they are screened
  Result<LogScore> log_score(const TrainingNetwork& network, int seed) const;
  Result<LogScore> log_score(const TrainingNetwork& network, double enough,
                             const WeightSource<float>& weights,
                             const ScoredPrefix<float>& prefix) const;
  uint64_t weights_seed(int seed) const;
  Status score_reference(const TrainingNetwork& network, Reference& reference) const;
  Result<Screening> screen_one(const Rewrites& rewrites, Shared& shared) const;
  Status in_parallel(int count, const std::function<Status(int)>& job) const;

  const Minibatch* minibatch_;
  ConvEngine<float>* engine_;
  ScreenOptions options_;
  std::map<int, std::vector<Steps>> choices_;
  TrainingNetwork full_, narrow_;
  int narrowing_ = 1;
  Array<float> images_;
  Reference full_reference_, narrow_reference_;
};

}  // namespace emulsion
