#include "compile/time_in_turns.h"

#include <algorithm>
#include <limits>
#include <map>

namespace emulsion {
namespace {

constexpr double k_faster = 0.99;

struct Times {
  std::vector<double> minima, medians;

  Status add(LoadedNetwork& network, double seconds) {
    TRY(const NetworkTime time, network.time(seconds));
    minima.push_back(time.min_ms);
    medians.push_back(time.median_ms);
    return ok();
  }
  double least() const {
    return minima.empty() ? std::numeric_limits<double>::infinity()
                          : *std::min_element(minima.begin(), minima.end());
  }
  double middle() {
    std::sort(medians.begin(), medians.end());
    return medians[medians.size() / 2];
  }
};

}  // namespace

Result<NetworkRecord> time_in_turns(LoadedNetwork& original, LoadedNetwork& changed,
                                    const TurnOptions& options) {
  Times of_original, of_changed;
  int calm = 0;
  // Until neither gets faster any more: what else runs on the machine only ever adds.
  for (int turn = 0; turn < options.most && (turn < options.least || calm < options.calm); ++turn) {
    const double before[] = {of_original.least(), of_changed.least()};
    TRY_OK(of_original.add(original, options.seconds));
    TRY_OK(of_changed.add(changed, options.seconds));
    const bool faster =
        of_original.least() < k_faster * before[0] || of_changed.least() < k_faster * before[1];
    calm = faster ? 0 : calm + 1;
  }
  NetworkRecord record{
      of_changed.least(), of_changed.middle(), of_original.least(), of_original.middle(), 0, {}};
  if (options.layers_seconds == 0) return record;
  TRY(const NetworkTime by_layer, changed.time(options.layers_seconds, true));
  const std::vector<KernelUse>& calls = changed.compiled().kernels;
  std::map<std::string, int> counts;
  for (size_t i = 0; i < calls.size(); ++i) {
    const double ms = by_layer.layer_min_ms[i];
    double& mean = record.kernels_ms[calls[i].kernel];
    mean += (ms - mean) / ++counts[calls[i].kernel];
    record.parts_ms += ms;
  }
  return record;
}

}  // namespace emulsion
