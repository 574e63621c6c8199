#include "autoschedule/space_kernels.h"

#include <algorithm>
#include <map>

#include "lower/algorithm.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

// The kernels of networks, each distinct one once. Completing a spec is slow next to looking up one
// that has been met.
class Collector {
 public:
  Collector(std::vector<KernelSpec>& specs, std::string target)
      : specs_(specs), target_(std::move(target)) {}

  // By layer; -1 where there is no kernel.
  Result<std::vector<int>> calls(const LaidOutNetwork& laid_out) {
    std::vector<int> result;
    for (int i = 0; i < static_cast<int>(laid_out.network.layers.size()); ++i) {
      if (laid_out.elided[i]) {
        result.push_back(-1);
        continue;
      }
      TRY(const int kernel, index(laid_out, i));
      result.push_back(kernel);
    }
    return result;
  }

 private:
  Result<int> index(const LaidOutNetwork& laid_out, int layer) {
    const Layer& l = laid_out.network.layers[layer];
    std::string key = to_text(l.op);
    const auto add = [&](ValueId value) {
      key += fmt::format("\n{}", to_text(laid_out.descriptors[value]));
    };
    for (const ValueId input : l.inputs) add(input);
    add(l.output);
    if (const auto met = by_layer_.find(key); met != by_layer_.end()) return met->second;
    TRY(KernelSpec spec, kernel_spec(laid_out, layer, {}, target_));
    const auto [found, fresh] =
        by_name_.emplace(kernel_name(spec), static_cast<int>(specs_.size()));
    if (fresh) specs_.push_back(std::move(spec));
    by_layer_[key] = found->second;
    return found->second;
  }

  std::vector<KernelSpec>& specs_;
  const std::string target_;
  std::map<std::string, int> by_layer_, by_name_;
};

std::vector<int> sorted_calls(std::vector<int> calls) {
  std::erase(calls, -1);
  std::sort(calls.begin(), calls.end());
  return calls;
}

}  // namespace

Result<SpaceKernels> space_kernels(const Network& network, const SearchSpace& space,
                                   const std::string& target) {
  const Network bare = without_weights(network);
  SpaceKernels kernels;
  Collector collector(kernels.specs, target);
  const LaidOutNetwork laid_out = lay_out(bare);
  TRY(const std::vector<int> by_layer, collector.calls(laid_out));
  const std::vector<int> convs = conv_layers(laid_out.network);
  kernels.original = sorted_calls(by_layer);
  for (const SpaceSlot& slot : space.slots) {
    kernels.slot_calls.push_back(by_layer[convs[slot.conv]]);
    std::vector<CallChange>& changes = kernels.slots.emplace_back(1);
    for (size_t k = 1; k < slot.choices.size(); ++k) {
      TRY(const Network changed, apply_rewrites(bare, {{slot.conv, slot.choices[k].rewrite}}));
      TRY(std::vector<int> calls, collector.calls(lay_out(simplify(changed))));
      calls = sorted_calls(std::move(calls));
      CallChange& change = changes.emplace_back();
      std::set_difference(calls.begin(), calls.end(), kernels.original.begin(),
                          kernels.original.end(), std::back_inserter(change.added));
      std::set_difference(kernels.original.begin(), kernels.original.end(), calls.begin(),
                          calls.end(), std::back_inserter(change.removed));
    }
  }
  return kernels;
}

std::vector<KernelSpec> alternatives(const KernelSpec& spec, int most) {
  std::vector<KernelSpec> result = {spec};
  if (!std::holds_alternative<Conv>(spec.op)) return result;
  std::vector<std::vector<KernelSpec>> by_algorithm;
  for (const Algorithm& algorithm : algorithms()) {
    KernelSpec other = spec;
    other.algorithm = algorithm.name;
    other.schedule.clear();
    std::string reason;
    if (!algorithm.applies(other, &reason)) continue;
    std::vector<KernelSpec>& specs = by_algorithm.emplace_back();
    for (const std::string& schedule : algorithm.schedules(other)) {
      other.schedule = schedule;
      if (other.algorithm != spec.algorithm || schedule != spec.schedule) specs.push_back(other);
    }
  }
  for (size_t round = 0; static_cast<int>(result.size()) < most; ++round) {
    bool any = false;
    for (const std::vector<KernelSpec>& specs : by_algorithm) {
      if (round >= specs.size()) continue;
      any = true;
      if (static_cast<int>(result.size()) < most) result.push_back(specs[round]);
    }
    if (!any) break;
  }
  return result;
}

}  // namespace emulsion
