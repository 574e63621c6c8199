#include "autoschedule/layer_times.h"

#include <limits>

namespace emulsion {
namespace {

constexpr double k_never = std::numeric_limits<double>::infinity();

}  // namespace

LayerTimes::LayerTimes(SpaceKernels kernels)
    : kernels_(std::move(kernels)), ways_(kernels_.specs.size()) {
  for (size_t i = 0; i < kernels_.specs.size(); ++i) {
    kernel_of_[kernel_name(kernels_.specs[i])] = static_cast<int>(i);
  }
}

void LayerTimes::add(int kernel, const KernelSpec& way, const KernelTime& time) {
  const std::string name = kernel_name(way);
  for (const Way& known : ways_[kernel]) {
    if (known.name == name) return;
  }
  // In a network a layer's weights come from memory or the outer cache, not from the inner one.
  const double ms = time.cold_min_ms > 0 ? time.cold_min_ms : time.min_ms;
  alone_ms_[name] = ms;
  ways_[kernel].push_back({way, name, ms});
}

void LayerTimes::add(const NetworkRecord& network) {
  for (const auto& [name, ms] : network.kernels_ms) {
    double& mean = in_network_ms_[name];
    const int count = ++networks_of_[name];
    mean += (ms - mean) / count;
    if (const auto alone = alone_ms_.find(name); alone != alone_ms_.end()) {
      inside_ms_ += ms;
      outside_ms_ += alone->second;
    }
  }
  whole_ms_ += network.min_ms;
  parts_ms_ += network.parts_ms;
}

// Inside networks where that is known; else alone, corrected by how the known ones differ.
double LayerTimes::estimate(const Way& way) const {
  const double overhead = parts_ms_ > 0 ? whole_ms_ / parts_ms_ : 1;
  if (const auto known = in_network_ms_.find(way.name); known != in_network_ms_.end()) {
    return known->second * overhead;
  }
  return way.alone_ms * (outside_ms_ > 0 ? inside_ms_ / outside_ms_ : 1) * overhead;
}

const LayerTimes::Way* LayerTimes::best_way(int kernel) const {
  const Way* best = nullptr;
  for (const Way& way : ways_[kernel]) {
    if (!best || estimate(way) < estimate(*best)) best = &way;
  }
  return best;
}

std::optional<KernelSpec> LayerTimes::best(int kernel) const {
  const Way* way = best_way(kernel);
  return way ? std::optional(way->spec) : std::nullopt;
}

std::optional<KernelSpec> LayerTimes::best(const std::string& name) const {
  const auto found = kernel_of_.find(name);
  return found == kernel_of_.end() ? std::nullopt : best(found->second);
}

double LayerTimes::ms(int kernel) const {
  const Way* way = best_way(kernel);
  return way ? estimate(*way) : k_never;
}

AdditiveTable LayerTimes::table() const {
  std::vector<double> ms_of;
  for (size_t i = 0; i < ways_.size(); ++i) ms_of.push_back(ms(static_cast<int>(i)));
  AdditiveTable table;
  for (const int call : kernels_.original) table.rest_ms += ms_of[call];
  for (const std::vector<CallChange>& choices : kernels_.slots) {
    std::vector<TableEntry>& row = table.slots.emplace_back();
    for (const CallChange& change : choices) {
      double ms = 0;
      for (const int call : change.added) ms += ms_of[call];
      for (const int call : change.removed) ms -= ms_of[call];
      row.push_back({ms, 0});
    }
  }
  return table;
}

}  // namespace emulsion
