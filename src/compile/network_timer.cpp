#include "compile/network_timer.h"

#include "compile/time_in_turns.h"

namespace emulsion {

NetworkTimer::NetworkTimer(const Network& network, KernelCache& cache, CompileOptions options,
                           Records* records)
    : network_(network), cache_(cache), options_(std::move(options)), records_(records) {}

Result<LoadedNetwork*> NetworkTimer::load(PlannedNetwork& network) {
  if (!network.loaded) {
    TRY(network.loaded, LoadedNetwork::load(network_, network.plan, cache_, options_));
  }
  return &*network.loaded;
}

Result<NetworkRecord> NetworkTimer::time(PlannedNetwork& original, PlannedNetwork& changed) {
  const std::string key = network_key(original.plan, changed.plan);
  if (records_) {
    if (const auto known = records_->network(key)) return *known;
  }
  TRY(LoadedNetwork* const before, load(original));
  TRY(LoadedNetwork* const after, load(changed));
  constexpr TurnOptions k_turns{
      .least = 4, .most = 12, .calm = 3, .seconds = 0.08, .layers_seconds = 0};
  TRY(const NetworkRecord record, time_in_turns(*before, *after, k_turns));
  if (records_) TRY_OK(records_->add(key, record));
  return record;
}

bool clearly_faster(const NetworkRecord& record) {
  constexpr double k_clearly = 0.99;
  return record.min_ms < k_clearly * record.original_min_ms &&
         record.median_ms < record.original_median_ms;
}

bool no_slower(const NetworkRecord& record) {
  return record.min_ms <= record.original_min_ms && record.median_ms <= record.original_median_ms;
}

}  // namespace emulsion
