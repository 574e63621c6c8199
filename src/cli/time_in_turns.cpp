#include "cli/time_in_turns.h"

#include <algorithm>

namespace emulsion {
namespace {

constexpr int k_turns = 6;
constexpr double k_turn_seconds = 0.15;

struct Times {
  std::vector<double> minima, medians;

  Status add(LoadedNetwork& network) {
    TRY(const NetworkTime time, network.time(k_turn_seconds));
    minima.push_back(time.min_ms);
    medians.push_back(time.median_ms);
    return ok();
  }
  double least() const { return *std::min_element(minima.begin(), minima.end()); }
  double middle() {
    std::sort(medians.begin(), medians.end());
    return medians[medians.size() / 2];
  }
};

}  // namespace

Result<NetworkRecord> time_in_turns(LoadedNetwork& original, LoadedNetwork& changed) {
  Times of_original, of_changed;
  for (int turn = 0; turn < k_turns; ++turn) {
    TRY_OK(of_original.add(original));
    TRY_OK(of_changed.add(changed));
  }
  return NetworkRecord{of_changed.least(), of_changed.middle(), of_original.least(),
                       of_original.middle()};
}

}  // namespace emulsion
