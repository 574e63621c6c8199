#include "lower/fuse_chains.h"

#include <algorithm>
#include <optional>

#include "lower/algorithm.h"
#include "lower/conv_chain.h"
#include "lower/conv_costs.h"
#include "lower/conv_templates.h"
#include "lower/target.h"

namespace emulsion {

namespace {

constexpr size_t k_most_convs = 3;

// Cycles that one core spends on storing a value beyond its second level cache and reading it back:
// stores overlap with most of what else is done, loads with nothing.
double traffic_cycles(const Shape& shape, const Machine& machine) {
  constexpr double k_stored = 0.25;
  const auto bytes = static_cast<double>(4 * element_count(shape));
  const bool stays = bytes <= static_cast<double>(machine.l2_bytes) / 2;
  return stays ? 0 : (1 + k_stored) * bytes / machine.core.far_bytes;
}

// convs: of the network, by position.
ConvChain chain_of(const Network& network, const std::vector<int>& convs,
                   const std::vector<int>& members) {
  ConvChain result;
  const Shape& input = network.shape(network.layers[convs[members.front()]].inputs[0]);
  result.image = {static_cast<int>(input[2]), static_cast<int>(input[3])};
  for (const int member : members)
    result.convs.push_back(std::get<Conv>(network.layers[convs[member]].op));
  return result;
}

class ChainFinder {
 public:
  ChainFinder(const Network& network, const std::map<int, KernelChoice>& choices,
              const std::string& target, int threads)
      : network_(network),
        choices_(choices),
        target_(target),
        threads_(threads),
        convs_(conv_layers(network)),
        before_(convs_.size(), -1),
        cycles_(convs_.size(), -1) {
    find_neighbours();
  }

  Result<Chains> chosen() {
    std::vector<int> first(convs_.size(), -1);  // of the chain that a conv is the last of
    TRY_OK(add_planned(first));
    add_expected(first);
    Chains chains;
    for (int i = 0; i < static_cast<int>(first.size()); ++i)
      if (first[i] >= 0) chains.push_back(members(first[i], i));
    return chains;
  }

  Chains possible() {
    Chains chains;
    for (int last = 0; last < static_cast<int>(convs_.size()); ++last) {
      int first = last;
      for (size_t length = 2; length <= k_most_convs && before_[first] >= 0; ++length) {
        first = before_[first];
        std::vector<int> convs = members(first, last);
        if (cycles_together(convs)) chains.push_back(std::move(convs));
      }
    }
    return chains;
  }

 private:
  // The convs of a chain, given its ends.
  std::vector<int> members(int first, int last) const {
    std::vector<int> result{last};
    while (result.back() != first) result.push_back(before_[result.back()]);
    std::reverse(result.begin(), result.end());
    return result;
  }

  const Layer& layer(int i) const { return network_.layers[convs_[i]]; }
  const Conv& conv(int i) const { return std::get<Conv>(layer(i).op); }
  const Shape& input_shape(int i) const { return network_.shape(layer(i).inputs[0]); }
  const Shape& output_shape(int i) const { return network_.shape(layer(i).output); }
  const std::string* planned(int i) const {
    const auto choice = choices_.find(i);
    const bool named = choice != choices_.end() && !choice->second.algorithm.empty();
    return named ? &choice->second.algorithm : nullptr;
  }

  // before_[i] is the conv whose output only conv i reads, as its image.
  void find_neighbours() {
    const auto makers = producers(network_);
    const auto readers = consumers(network_);
    std::vector<int> position(network_.layers.size(), -1);
    for (size_t i = 0; i < convs_.size(); ++i) position[convs_[i]] = static_cast<int>(i);
    for (size_t i = 0; i < convs_.size(); ++i) {
      const std::vector<ValueId>& inputs = layer(static_cast<int>(i)).inputs;
      const ValueId value = inputs[0];
      const int maker = makers[value] < 0 ? -1 : position[makers[value]];
      const bool kept = std::count(network_.outputs.begin(), network_.outputs.end(), value) > 0;
      if (maker < 0 || kept || readers[value].size() != 1 || conv(maker).epilogue.residual ||
          std::count(inputs.begin(), inputs.end(), value) != 1)
        continue;
      before_[i] = maker;
    }
  }

  Status add_planned(std::vector<int>& first) const {
    std::vector<bool> taken(convs_.size(), false);
    for (int i = 0; i < static_cast<int>(convs_.size()); ++i) {
      if (!planned(i) || *planned(i) != k_fused) continue;
      int start = i;
      while (before_[start] >= 0 && planned(before_[start]) &&
             *planned(before_[start]) == k_fused_into_next) {
        start = before_[start];
        taken[start] = true;
        if (choices_.at(i).schedule.empty() && !choices_.at(start).schedule.empty())
          return error("conv {} ('{}') has a schedule and conv {}, that it is fused into, has none",
                       start, layer(start).name, i);
      }
      if (start == i)
        return error("conv {} ('{}') has algorithm {}, but no conv before it has {}", i,
                     layer(i).name, k_fused, k_fused_into_next);
      first[i] = start;
    }
    for (int i = 0; i < static_cast<int>(convs_.size()); ++i)
      if (planned(i) && *planned(i) == k_fused_into_next && !taken[i])
        return error(
            "conv {} ('{}') has algorithm {}, but no conv with {} is the only one to read "
            "its output",
            i, layer(i).name, k_fused_into_next, k_fused);
    return ok();
  }

  // Of the convs that no plan speaks of, the chains that save most in all.
  void add_expected(std::vector<int>& first) {
    const auto count = static_cast<int>(convs_.size());
    std::vector<double> saved(count, 0);  // by the chains of a conv and all before it
    std::vector<int> chosen(count, -1);   // the first of the chain that ends there; -1: none
    std::vector<bool> last(count, true);
    for (int i = 0; i < count; ++i) {
      if (before_[i] < 0) continue;
      last[before_[i]] = false;
      saved[i] = saved[before_[i]];
      int start = i;
      for (size_t length = 2; length <= k_most_convs && before_[start] >= 0; ++length) {
        start = before_[start];
        if (planned(start) || planned(i)) break;
        const double earlier = before_[start] < 0 ? 0 : saved[before_[start]];
        const double sum = earlier + saving(start, i);
        if (sum <= saved[i]) continue;
        saved[i] = sum;
        chosen[i] = start;
      }
    }
    for (int end = 0; end < count; ++end) {
      if (!last[end]) continue;
      for (int i = end; i >= 0; i = before_[i]) {
        if (chosen[i] < 0) continue;
        first[i] = chosen[i];
        i = chosen[i];
      }
    }
  }

  // Cycles that a chain is expected to save; none where it cannot be computed.
  double saving(int first, int last) {
    const Machine machine = machine_of(target_);
    const std::vector<int> convs = members(first, last);
    double traffic = 0;
    for (size_t i = 0; i + 1 < convs.size(); ++i)
      traffic += traffic_cycles(output_shape(convs[i]), machine);
    if (traffic == 0) return 0;
    const std::optional<double> together = cycles_together(convs);
    if (!together) return 0;
    double apart = traffic / threads_;
    for (const int i : convs) apart += cycles_alone(i);
    return std::max(0.0, apart - *together);
  }

  // Nothing where there is no kernel for a chain.
  std::optional<double> cycles_together(const std::vector<int>& convs) const {
    const ConvChain fused = chain_of(network_, convs_, convs);
    const Shape& input = input_shape(convs.front());
    std::string reason;
    if (!takes_chain(fused, input, &reason)) return std::nullopt;
    const auto schedules = chain_schedules(fused, input, machine_of(target_), threads_);
    return schedules.empty() ? std::nullopt : std::optional(schedules.front().cycles);
  }

  double cycles_alone(int i) {
    if (cycles_[i] >= 0) return cycles_[i];
    KernelSpec spec{conv(i),
                    {channels_last(input_shape(i), conv(i).pad)},
                    channels_last(output_shape(i)),
                    "",
                    "",
                    target_,
                    threads_};
    if (conv(i).epilogue.residual) spec.inputs.push_back(spec.output);
    const auto full = completed(spec);
    EMULSION_CHECK(full.ok());
    spec.algorithm = full->algorithm;
    return cycles_[i] = find_algorithm(spec.algorithm)->best_guess(spec).cycles;
  }

  const Network& network_;
  const std::map<int, KernelChoice>& choices_;
  const std::string& target_;
  const int threads_;
  const std::vector<int> convs_;
  std::vector<int> before_;
  std::vector<double> cycles_;  // of a conv alone; -1: not asked for yet
};

}  // namespace

Result<Chains> choose_chains(const Network& network, const std::map<int, KernelChoice>& choices,
                             const std::string& target, int threads) {
  return ChainFinder(network, choices, target, threads).chosen();
}

Chains possible_chains(const Network& network, const std::string& target, int threads) {
  return ChainFinder(network, {}, target, threads).possible();
}

ChainedNetwork fuse_chains(const Network& network, const Chains& chains) {
  const std::vector<int> convs = conv_layers(network);
  std::vector<std::vector<int>> members;  // of the chain or the conv alone, by its last conv
  for (size_t i = 0; i < convs.size(); ++i) members.push_back({static_cast<int>(i)});
  std::vector<bool> swallowed(network.layers.size(), false);
  for (const std::vector<int>& chain : chains) {
    members[chain.back()] = chain;
    for (size_t k = 0; k + 1 < chain.size(); ++k) swallowed[convs[chain[k]]] = true;
  }
  ChainedNetwork result{network, {}};
  result.network.layers.clear();
  int position = -1;
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const bool is_conv = std::holds_alternative<Conv>(network.layers[i].op);
    if (is_conv) ++position;
    if (swallowed[i]) continue;
    Layer layer = network.layers[i];
    if (is_conv) {
      const std::vector<int>& chain = members[position];
      if (chain.size() > 1) {
        layer.op = chain_of(network, convs, chain);
        layer.inputs[0] = network.layers[convs[chain.front()]].inputs[0];
        layer.name.clear();
        for (const int conv : chain)
          layer.name += (layer.name.empty() ? "" : "+") + network.layers[convs[conv]].name;
      }
      result.convs.push_back(chain);
    }
    result.network.layers.push_back(std::move(layer));
  }
  result.network = without_dead_layers(result.network);
  return result;
}

}  // namespace emulsion
