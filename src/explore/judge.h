// The verdicts on configurations as whole networks, each found once: what the state has is not
// judged again.
#pragma once

#include <set>

#include "autoschedule/exploration_state.h"
#include "explore/problem.h"
#include "explore/stopping.h"
#include "legality/screen.h"

namespace emulsion {

class Judge {
 public:
  // All references outlive it.
  static Result<Judge> create(const Problem& problem, LegalityRule rule, KernelCache& cache,
                              ExplorationState& state, const Stopping& stopping);

  // Kernels of scoring, and the original's scores. rule none: nothing.
  Status prepare();
  // By the rule of Fisher Potential.
  Result<Verdict> verdict(const Configuration& configuration);
  // What narrow copies say of configurations, in order: whether each is worth a verdict. Only with
  // the rule fisher.
  Result<std::vector<Screening>> screen(const std::vector<Configuration>& configurations);
  // Of the verdicts so far.
  std::optional<Verdict> known(const Configuration& configuration) const;
  std::optional<Screening> screened(const Configuration& configuration) const;
  const Reference& reference() const { return reference_; }

 private:
  Judge(const Problem& problem, LegalityRule rule, KernelCache& cache, ExplorationState& state,
        const Stopping& stopping)
      : problem_(&problem), rule_(rule), cache_(&cache), state_(&state), stopping_(&stopping) {}
  Status compile_kernels(const std::map<int, Steps>& rewrites, const char* title);
  Status score_original();
  Result<double> log_score(const TrainingNetwork& network, int seed);

  const Problem* problem_;
  LegalityRule rule_;
  KernelCache* cache_;
  ExplorationState* state_;
  const Stopping* stopping_;
  Status prepare_screening();

  std::unique_ptr<Minibatch> minibatch_;
  TrainingNetwork training_;
  std::unique_ptr<KernelEngine> engine_;
  std::unique_ptr<FisherJudge> screening_;  // made when it is first needed
  Reference reference_;
  std::set<std::string> compiled_;  // names of scoring's kernels
};

}  // namespace emulsion
