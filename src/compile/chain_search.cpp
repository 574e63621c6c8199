#include "compile/chain_search.h"

#include <algorithm>
#include <map>

#include "base/progress.h"
#include "compile/prepare.h"

namespace emulsion {
namespace {

// Chains of the same shapes.
struct Kind {
  Chains all;           // that are possible
  Chains together;      // of these, some that share no conv
  int64_t between = 0;  // elements that lie between the convs of these
};

bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](int conv) { return std::count(b.begin(), b.end(), conv) > 0; });
}

bool overlap(const Chains& chains, const std::vector<int>& chain) {
  return std::any_of(chains.begin(), chains.end(),
                     [&](const std::vector<int>& other) { return overlap(other, chain); });
}

// Those with most between their convs first.
std::vector<Kind> kinds_of(const Network& network, const Chains& possible) {
  const std::vector<int> convs = conv_layers(network);
  std::map<std::string, Kind> by_shapes;
  for (const std::vector<int>& chain : possible) {
    std::string shapes;
    int64_t between = 0;
    for (const int conv : chain) {
      shapes += shape_hint(network, convs[conv]) + "; ";
      if (conv != chain.back())
        between += element_count(network.shape(network.layers[convs[conv]].output));
    }
    Kind& kind = by_shapes[shapes];
    kind.all.push_back(chain);
    if (overlap(kind.together, chain)) continue;
    kind.together.push_back(chain);
    kind.between += between;
  }
  std::vector<Kind> kinds;
  for (auto& [shapes, kind] : by_shapes) kinds.push_back(std::move(kind));
  std::stable_sort(kinds.begin(), kinds.end(),
                   [](const Kind& a, const Kind& b) { return a.between > b.between; });
  return kinds;
}

// The chain that a conv is in; alone: none.
std::vector<int> chain_with(const Chains& chains, int conv) {
  const auto found = std::find_if(chains.begin(), chains.end(), [&](const std::vector<int>& chain) {
    return std::count(chain.begin(), chain.end(), conv) > 0;
  });
  return found == chains.end() ? std::vector<int>() : *found;
}

Chains all_fused(const Chains& chains, const Kind& kind) {
  Chains result = kind.together;
  for (const std::vector<int>& chain : chains)
    if (!overlap(kind.together, chain)) result.push_back(chain);
  std::sort(result.begin(), result.end());
  return result;
}

Chains all_apart(const Chains& chains, const Kind& kind) {
  Chains result = chains;
  std::erase_if(result, [&](const std::vector<int>& chain) {
    return std::count(kind.all.begin(), kind.all.end(), chain) > 0;
  });
  return result;
}

class ChainSearch {
 public:
  ChainSearch(RewrittenNetwork network, const ChainSearchOptions& options)
      : network_(std::move(network)), options_(options) {}

  Result<ChainSearchResult> run() {
    TRY(planned_,
        choose_chains(network_.rewritten, network_.choices, options_.target, options_.threads));
    std::sort(planned_.begin(), planned_.end());
    chains_ = planned_;
    TRY(best_.plan, plan_with(chains_));
    const std::vector<Kind> kinds = kinds_of(
        network_.rewritten, possible_chains(network_.rewritten, options_.target, options_.threads));
    Progress bar("fusing convs", static_cast<int64_t>(kinds.size()));
    for (size_t i = 0; i < kinds.size() && !options_.over(); ++i) {
      bar.update(static_cast<int64_t>(i),
                 best_ms_ > 0 ? fmt::format("best {:.2f} ms", best_ms_) : "");
      const Chains before = chains_;
      for (const auto& other : {all_fused, all_apart}) {
        const Chains chains = other(chains_, kinds[i]);
        if (chains != chains_ && chains != before) try_chains(chains);
      }
    }
    return ChainSearchResult{best_.plan, tried_, taken_};
  }

 private:
  // What the plan says of convs that are chained in another way is left out. An error where what it
  // says of others does not apply any more: their neighbours want another layout.
  Result<Plan> plan_with(const Chains& chains) const {
    RewrittenNetwork network = network_;
    std::erase_if(network.choices, [&](const auto& choice) {
      return chain_with(planned_, choice.first) != chain_with(chains, choice.first);
    });
    TRY(const PreparedNetwork prepared,
        prepare(network, chains, options_.target, options_.threads));
    return explicit_plan(prepared, options_.target, options_.threads);
  }

  void try_chains(const Chains& chains) {
    Result<Plan> plan = plan_with(chains);
    if (!plan.ok()) return;
    PlannedNetwork changed{*std::move(plan), std::nullopt};
    const Result<NetworkRecord> record = options_.time(best_, changed);
    if (!record.ok()) return;
    ++tried_;
    best_ms_ = record->original_min_ms;
    if (!clearly_faster(*record)) return;
    ++taken_;
    best_ms_ = record->min_ms;
    best_ = std::move(changed);
    chains_ = chains;
  }

  RewrittenNetwork network_;
  const ChainSearchOptions& options_;
  Chains planned_, chains_;  // of the plan, and of the best network so far
  PlannedNetwork best_;
  double best_ms_ = 0;
  int tried_ = 0, taken_ = 0;
};

}  // namespace

Result<ChainSearchResult> search_chains(const Network& network, const Plan& plan,
                                        const ChainSearchOptions& options) {
  TRY(RewrittenNetwork rewritten, apply_plan(network, plan));
  return ChainSearch(std::move(rewritten), options).run();
}

}  // namespace emulsion
