#include "compile/chain_search.h"

#include <algorithm>
#include <map>

#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/network_timer.h"
#include "compile/prepare.h"

namespace emulsion {
namespace {

// Possible chains of the same shapes, none of which share a conv.
struct Kind {
  Chains chains;
  int64_t between = 0;  // elements that lie between their convs
};

bool overlap(const std::vector<int>& a, const std::vector<int>& b) {
  return std::any_of(a.begin(), a.end(),
                     [&](int conv) { return std::count(b.begin(), b.end(), conv) > 0; });
}

bool overlap(const Chains& chains, const std::vector<int>& chain) {
  return std::any_of(chains.begin(), chains.end(),
                     [&](const std::vector<int>& other) { return overlap(other, chain); });
}

bool contains(const Chains& chains, const std::vector<int>& chain) {
  return std::find(chains.begin(), chains.end(), chain) != chains.end();
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
    if (overlap(kind.chains, chain)) continue;
    kind.chains.push_back(chain);
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

// All of a kind as one kernel each, or, where they are, apart.
Chains with_other(const Chains& chains, const Kind& kind) {
  const bool fused = std::all_of(kind.chains.begin(), kind.chains.end(),
                                 [&](const auto& chain) { return contains(chains, chain); });
  Chains result;
  for (const std::vector<int>& chain : chains)
    if (!overlap(kind.chains, chain)) result.push_back(chain);
  if (!fused) result.insert(result.end(), kind.chains.begin(), kind.chains.end());
  return result;
}

class ChainSearch {
 public:
  ChainSearch(const Network& network, RewrittenNetwork rewritten, KernelCache& cache,
              const ChainSearchOptions& options)
      : rewritten_(std::move(rewritten)),
        options_(options),
        timer_(network, cache, options.compile, options.records) {}

  Result<ChainSearchResult> run() {
    const CompileOptions& compile = options_.compile;
    TRY(planned_,
        choose_chains(rewritten_.rewritten, rewritten_.choices, compile.target, compile.threads));
    chains_ = planned_;
    TRY(best_.plan, plan_with(chains_));
    const std::vector<Kind> kinds =
        kinds_of(rewritten_.rewritten,
                 possible_chains(rewritten_.rewritten, compile.target, compile.threads));
    Progress bar("fusing convs", static_cast<int64_t>(kinds.size()));
    for (size_t i = 0; i < kinds.size() && !options_.over(); ++i) {
      bar.update(static_cast<int64_t>(i),
                 best_ms_ > 0 ? fmt::format("best {:.2f} ms", best_ms_) : "");
      const Status status = try_kind(kinds[i]);
      if (!status.ok() && status.error().code == ExitCode::interrupted) break;
      TRY_OK(status);
    }
    return ChainSearchResult{best_.plan, tried_, taken_};
  }

 private:
  // What the plan says of convs that are chained in another way is left out.
  Result<Plan> plan_with(const Chains& chains) const {
    RewrittenNetwork network = rewritten_;
    std::erase_if(network.choices, [&](const auto& choice) {
      return chain_with(planned_, choice.first) != chain_with(chains, choice.first);
    });
    const CompileOptions& compile = options_.compile;
    TRY(const PreparedNetwork prepared, prepare(network, chains, compile.target, compile.threads));
    return explicit_plan(prepared, compile.target, compile.threads);
  }

  Status try_kind(const Kind& kind) {
    const Chains chains = with_other(chains_, kind);
    PlannedNetwork changed;
    TRY(changed.plan, plan_with(chains));
    TRY(const NetworkRecord record, timer_.time(best_, changed));
    ++tried_;
    best_ms_ = record.original_min_ms;
    if (!clearly_faster(record)) return ok();
    ++taken_;
    best_ms_ = record.min_ms;
    best_ = std::move(changed);
    chains_ = chains;
    return ok();
  }

  RewrittenNetwork rewritten_;
  const ChainSearchOptions& options_;
  NetworkTimer timer_;
  Chains planned_, chains_;  // of the plan, and of the best network so far
  PlannedNetwork best_;
  double best_ms_ = 0;
  int tried_ = 0, taken_ = 0;
};

}  // namespace

Result<ChainSearchResult> search_chains(const Network& network, const Plan& plan,
                                        KernelCache& cache, const ChainSearchOptions& options) {
  TRY(RewrittenNetwork rewritten, apply_plan(network, plan));
  return ChainSearch(network, std::move(rewritten), cache, options).run();
}

}  // namespace emulsion
