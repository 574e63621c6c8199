#include "autoschedule/layer_times.h"

#include <algorithm>
#include <limits>

namespace emulsion {
namespace {

constexpr double k_never = std::numeric_limits<double>::infinity();

int64_t weights(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return element_count(conv->weight->shape);
  if (const auto* dense = std::get_if<Dense>(&op)) return element_count(dense->weight->shape);
  int64_t sum = 0;
  if (const auto* chain = std::get_if<ConvChain>(&op))
    for (const Conv& conv : chain->convs) sum += element_count(conv.weight->shape);
  return sum;
}

// What a kernel is expected to take inside a network: its weights come from memory or the outer
// cache, its inputs from the layer before. A cold call has neither, so it pays for both by their
// bytes.
double expected_ms(const KernelSpec& way, const KernelTime& time) {
  if (time.cold_min_ms <= 0) return time.min_ms;
  const auto weight_count = static_cast<double>(weights(way.op));
  double count = weight_count;
  for (const TensorDescriptor& input : way.inputs)
    count += static_cast<double>(element_count(input.shape));
  const double part = count > 0 ? weight_count / count : 1;
  return time.min_ms + part * std::max(0.0, time.cold_min_ms - time.min_ms);
}

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
  const double ms = expected_ms(way, time);
  alone_ms_[name] = ms;
  ways_[kernel].push_back({way, name, ms});
}

void LayerTimes::add(const NetworkRecord& network) {
  for (const auto& [name, ms] : network.kernels_ms) {
    const auto [known, fresh] = in_network_ms_.emplace(name, ms);
    if (!fresh) known->second = std::min(known->second, ms);
  }
  double inside = 0, alone = 0;
  for (const auto& [name, ms] : in_network_ms_) {
    const auto known = alone_ms_.find(name);
    if (known == alone_ms_.end()) continue;
    inside += ms;
    alone += known->second;
  }
  if (alone > 0) inside_over_alone_ = inside / alone;
  if (network.parts_ms > 0) {
    const double overhead = std::max(1.0, network.min_ms / network.parts_ms);
    overhead_ = networks_++ == 0 ? overhead : std::min(overhead_, overhead);
  }
}

// Inside networks where that is known; else alone, corrected by how the known ones differ.
double LayerTimes::estimate(const Way& way) const {
  const auto known = in_network_ms_.find(way.name);
  const double inside =
      known != in_network_ms_.end() ? known->second : way.alone_ms * inside_over_alone_;
  return inside * overhead_;
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
