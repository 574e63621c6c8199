#include "autoschedule/space_kernels.h"

#include <algorithm>
#include <map>

#include "lower/algorithm.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

// Algorithms that are expected to take so many times the default's cycles may yet be faster.
constexpr double k_rival = 1.3;

// The kernels of networks, each distinct one once. Completing a spec is slow next to looking up one
// that has been met.
class Collector {
 public:
  Collector(std::vector<KernelSpec>& specs, std::string target, int threads)
      : specs_(specs), target_(std::move(target)), threads_(threads) {}

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
    TRY(KernelSpec spec, kernel_spec(laid_out, layer, {}, target_, threads_));
    const auto [found, fresh] =
        by_name_.emplace(kernel_name(spec), static_cast<int>(specs_.size()));
    if (fresh) specs_.push_back(std::move(spec));
    by_layer_[key] = found->second;
    return found->second;
  }

  std::vector<KernelSpec>& specs_;
  const std::string target_;
  const int threads_;
  std::map<std::string, int> by_layer_, by_name_;
};

std::vector<int> sorted_calls(std::vector<int> calls) {
  std::erase(calls, -1);
  std::sort(calls.begin(), calls.end());
  return calls;
}

}  // namespace

Result<SpaceKernels> space_kernels(const Network& network, const SearchSpace& space,
                                   const std::string& target, int threads) {
  const Network bare = without_weights(network);
  SpaceKernels kernels;
  Collector collector(kernels.specs, target, threads);
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

namespace {

// An algorithm for a kernel, with its schedules.
struct Row {
  const Algorithm* algorithm;
  double cycles;  // expected
  std::vector<KernelSpec> specs;
};

// The algorithms that compute the same as exactly as defaults must, the fastest expected first,
// the spec's own before all.
std::vector<Row> rows_for(const KernelSpec& spec) {
  std::vector<Row> rows;
  for (const Algorithm& algorithm : algorithms()) {
    KernelSpec other = spec;
    other.algorithm = algorithm.name;
    other.schedule.clear();
    std::string reason;
    if (algorithm.error_bound > k_default_error || !algorithm.applies(other, &reason)) continue;
    rows.push_back({&algorithm, algorithm.best_guess(other).cycles, {}});
  }
  std::stable_sort(rows.begin(), rows.end(), [&](const Row& a, const Row& b) {
    const bool own_a = a.algorithm->name == spec.algorithm;
    const bool own_b = b.algorithm->name == spec.algorithm;
    return own_a != own_b ? own_a : a.cycles < b.cycles;
  });
  return rows;
}

}  // namespace

std::vector<KernelSpec> alternatives(const KernelSpec& spec, int most) {
  std::vector<KernelSpec> result = {spec};
  if (!std::holds_alternative<Conv>(spec.op)) return result;
  std::vector<Row> rows = rows_for(spec);
  for (Row& row : rows) {
    KernelSpec other = spec;
    other.algorithm = row.algorithm->name;
    other.schedule.clear();
    for (const std::string& schedule : row.algorithm->schedules(other)) {
      other.schedule = schedule;
      if (other.algorithm != spec.algorithm || schedule != spec.schedule) {
        row.specs.push_back(other);
      }
    }
  }
  // Other algorithms' first schedules, then one more of each algorithm in turn.
  std::rotate(rows.begin(), rows.begin() + (rows.empty() ? 0 : 1), rows.end());
  bool any = true;
  for (size_t round = 0; any; ++round) {
    any = false;
    for (const Row& row : rows) {
      const bool own = row.algorithm->name == spec.algorithm;
      if (own && round == 0) {
        any = any || !row.specs.empty();
        continue;
      }
      const size_t at = own ? round - 1 : round;
      if (at >= row.specs.size()) continue;
      any = true;
      if (static_cast<int>(result.size()) < most) result.push_back(row.specs[at]);
    }
  }
  return result;
}

int rival_algorithms(const KernelSpec& spec) {
  if (!std::holds_alternative<Conv>(spec.op)) return 0;
  const std::vector<Row> rows = rows_for(spec);
  return static_cast<int>(std::count_if(rows.begin(), rows.end(), [&](const Row& row) {
    return row.algorithm->name != spec.algorithm && row.cycles < k_rival * rows[0].cycles;
  }));
}

}  // namespace emulsion
