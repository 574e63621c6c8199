// A guess at how rewrites change a network's capacity (its log ratio of Fisher scores), as a sum
// over its slots: ridge regression on the verdicts so far. It steers a search away from what was
// rejected; it decides nothing.
#pragma once

#include <map>
#include <vector>

#include "autoschedule/space.h"

namespace emulsion {

class CapacityModel {
 public:
  // space outlives it.
  explicit CapacityModel(const SearchSpace& space) : space_(&space) {}

  void add(const Configuration& configuration, double log_ratio);
  bool empty() const { return log_ratios_.empty(); }
  // What each choice adds to the log ratio, by slot, by choice: what its rewrite adds anywhere, at
  // this size of kernel, and at this size of image too.
  std::vector<std::vector<double>> log_ratios() const;

 private:
  const SearchSpace* space_;
  std::vector<Configuration> configurations_;
  std::vector<double> log_ratios_;
};

}  // namespace emulsion
