// The joint search: configurations from a strategy, judged and measured as whole networks, until
// prediction and measurement agree; for one speed-up that is wanted or for a ladder of them.
#pragma once

#include <set>

#include "autoschedule/capacity_model.h"
#include "autoschedule/strategy.h"
#include "base/progress.h"
#include "explore/judge.h"
#include "explore/measurer.h"

namespace emulsion {

// "same", "2x", "fastest"
std::string wanted_name(double wanted);

struct FoundPlan {
  double wanted = 1;  // speed-up; 1: the same function; infinite: the fastest
  Configuration configuration;
  Plan plan;
  NetworkRecord time;
  double predicted_ms = 0;           // by the table that it was chosen by
  double original_predicted_ms = 0;  // by the same table
  std::optional<Verdict> verdict;    // as the rule asks for

  double speedup() const { return time.original_min_ms / time.min_ms; }
  double predicted_speedup() const { return original_predicted_ms / predicted_ms; }
};

// One that was excluded: by its narrow copy, or by the verdict itself.
struct Rejection {
  Configuration configuration;
  double predicted_speedup = 0;
  bool screened = false;
  Verdict verdict;
};

class PlanFinder {
 public:
  // losses: by slot, by choice; most_loss: the largest that is legal. All references outlive it.
  PlanFinder(const Problem& problem, Legality legality, const Strategy& strategy,
             std::vector<std::vector<double>> losses, double most_loss, Measurer& measurer,
             Judge& judge, const Stopping& stopping);

  // An error says why it stopped early; what was found until then stays.
  Status find();

  const std::vector<FoundPlan>& plans() const { return plans_; }
  const std::vector<Rejection>& rejections() const { return rejections_; }
  // By the table as it is now.
  AdditiveTable table() const;
  // What the strategy proposes for that table.
  std::vector<Configuration> proposals() const;
  bool complete() const { return complete_; }
  int screened() const { return screened_; }          // configurations, before the search
  int screened_out() const { return screened_out_; }  // of them

 private:
  struct Pick {
    Configuration configuration;
    double ms = 0;
  };
  AdditiveTable search_table(const std::vector<std::vector<double>>& log_ratios) const;
  std::vector<Configuration> proposals(const AdditiveTable& table) const;
  std::optional<Pick> pick(double most_ms, const std::set<Configuration>& excluded);
  Status screen();
  void reject(const Configuration& configuration, double ms, bool screened, Verdict verdict);
  // Whether the rule lets it pass.
  Result<bool> passes(const Configuration& configuration, double ms);
  Status find_one(double wanted, Progress& bar);
  std::vector<double> wanted() const;

  const Problem& problem_;
  const Legality legality_;
  const Strategy& strategy_;
  const std::vector<std::vector<double>> losses_;
  const double most_loss_;
  Measurer& measurer_;
  Judge& judge_;
  const Stopping& stopping_;
  CapacityModel capacity_;
  double capacity_weight_ = 0;
  double least_log_ratio_ = -0.05;  // of a configuration that is guessed to be legal
  std::set<Configuration> rejected_;
  std::vector<FoundPlan> plans_;
  std::vector<Rejection> rejections_;
  bool complete_ = false;
  int screened_ = 0, screened_out_ = 0;
};

}  // namespace emulsion
