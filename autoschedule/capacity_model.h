// A guess at how rewrites change a network's capacity (its log ratio of Fisher scores), as a sum
// over its slots: ridge regression on the verdicts so far. It steers a search away from what was
// rejected; it decides nothing.
#pragma once

#include <vector>

#include "autoschedule/space.h"

namespace emulsion {

class CapacityModel {
 public:
  explicit CapacityModel(const SearchSpace& space);

  void add(const Configuration& configuration, double log_ratio);
  bool empty() const { return empty_; }
  // What each choice adds to the log ratio, by slot, by choice: what its rewrite adds anywhere, at
  // this size of kernel, and at this size of image too.
  std::vector<std::vector<double>> log_ratios() const;

 private:
  std::vector<std::vector<std::vector<int>>> features_of_;  // by slot, by choice
  // The regression's normal equations, by feature.
  std::vector<std::vector<double>> products_;
  std::vector<double> sums_;
  bool empty_ = true;
};

}  // namespace emulsion
