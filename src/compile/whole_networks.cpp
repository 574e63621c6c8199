#include "compile/whole_networks.h"

#include <algorithm>
#include <optional>

#include "base/hash.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/time_in_turns.h"

namespace emulsion {
namespace {

// Minima and medians agree, the minima by more than noise.
constexpr double k_clearly = 0.99;
bool faster(const NetworkRecord& record) {
  return record.min_ms < k_clearly * record.original_min_ms &&
         record.median_ms < record.original_median_ms;
}
bool no_slower(const NetworkRecord& record) {
  return record.min_ms <= record.original_min_ms && record.median_ms <= record.original_median_ms;
}

// A network by its calls' kernels, compiled when it is asked for.
struct Candidate {
  std::vector<KernelSpec> specs;
  Plan plan;
  std::optional<LoadedNetwork> loaded;
  double difference = 0;
};

class WholeNetworks {
 public:
  WholeNetworks(const Network& network, const PreparedNetwork& prepared,
                const std::vector<KernelSpec>& defaults, KernelCache& cache,
                const WholeNetworkOptions& options)
      : network_(network),
        prepared_(prepared),
        defaults_(defaults),
        cache_(cache),
        options_(options) {}

  Candidate candidate(std::vector<KernelSpec> specs) {
    for (size_t i = 0; i < specs.size(); ++i) prepared_.calls[i].spec = specs[i];
    Plan plan = explicit_plan(prepared_, options_.compile.target, options_.compile.threads);
    return {std::move(specs), std::move(plan), std::nullopt, 0};
  }

  // Whether a network may be taken: nothing in it is risky, or it is close enough on the data.
  Result<bool> allowed(Candidate& candidate) {
    if (!risks_more(candidate.specs)) return true;
    if (!options_.check) return false;
    TRY(LoadedNetwork* const loaded, load(candidate));
    TRY(candidate.difference, options_.check->difference(*loaded));
    return options_.check->holds(candidate.difference);
  }

  Result<NetworkRecord> time(Candidate& original, Candidate& changed) {
    const std::string key =
        hash_text("whole network\n" + to_json(original.plan) + to_json(changed.plan));
    if (options_.records) {
      if (const auto known = options_.records->network(key)) return *known;
    }
    TRY(LoadedNetwork* const before, load(original));
    TRY(LoadedNetwork* const after, load(changed));
    constexpr TurnOptions k_turns{
        .least = 4, .most = 12, .calm = 3, .seconds = 0.08, .layers_seconds = 0};
    TRY(const NetworkRecord record, time_in_turns(*before, *after, k_turns));
    if (options_.records) TRY_OK(options_.records->add(key, record));
    return record;
  }

 private:
  // Than what the network begins with: that was asked for.
  bool risks_more(const std::vector<KernelSpec>& specs) const {
    for (size_t i = 0; i < specs.size(); ++i)
      if (is_risky(specs[i]) && kernel_name(specs[i]) != kernel_name(defaults_[i])) return true;
    return false;
  }

  Result<LoadedNetwork*> load(Candidate& candidate) {
    if (!candidate.loaded) {
      TRY(candidate.loaded,
          LoadedNetwork::load(network_, candidate.plan, cache_, options_.compile));
    }
    return &*candidate.loaded;
  }

  const Network& network_;
  PreparedNetwork prepared_;
  const std::vector<KernelSpec>& defaults_;
  KernelCache& cache_;
  const WholeNetworkOptions& options_;
};

std::vector<KernelSpec> specs_of(const PreparedNetwork& prepared) {
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) specs.push_back(call.spec);
  return specs;
}

class Stage {
 public:
  Stage(WholeNetworks& networks, std::vector<KernelSpec> specs)
      : networks_(networks), best_(networks.candidate(std::move(specs))) {}

  Status against_default(const std::vector<KernelSpec>& defaults) {
    Candidate by_default = networks_.candidate(defaults);
    if (by_default.plan == best_.plan) return ok();
    TRY(const bool allowed, networks_.allowed(best_));
    TRY(const NetworkRecord record, networks_.time(by_default, best_));
    best_ms_ = record.min_ms;
    if (allowed && no_slower(record)) return ok();
    best_ms_ = record.original_min_ms;
    result_.by_default = true;
    best_ = std::move(by_default);
    return ok();
  }

  Status try_variant(const Variant& variant) {
    std::vector<KernelSpec> specs = best_.specs;
    for (const size_t call : variant.calls) {
      // The calls share a kernel, not their weights.
      const Op op = specs[call].op;
      specs[call] = variant.spec;
      specs[call].op = op;
    }
    Candidate changed = networks_.candidate(std::move(specs));
    if (changed.plan == best_.plan) return ok();
    TRY(const bool allowed, networks_.allowed(changed));
    if (!allowed) return ok();
    TRY(const NetworkRecord record, networks_.time(best_, changed));
    ++result_.tried;
    best_ms_ = record.original_min_ms;
    if (!faster(record)) return ok();
    ++result_.taken;
    best_ms_ = record.min_ms;
    best_ = std::move(changed);
    return ok();
  }

  double best_ms() const { return best_ms_; }
  const std::vector<KernelSpec>& best() const { return best_.specs; }
  WholeNetworkResult result() const {
    WholeNetworkResult result = result_;
    result.difference = best_.difference;
    return result;
  }

 private:
  WholeNetworks& networks_;
  Candidate best_;
  double best_ms_ = 0;
  WholeNetworkResult result_;
};

}  // namespace

Result<WholeNetworkResult> improve_as_whole(const Network& network, PreparedNetwork& prepared,
                                            const std::vector<KernelSpec>& defaults,
                                            const std::vector<Variant>& variants,
                                            KernelCache& cache,
                                            const WholeNetworkOptions& options) {
  WholeNetworks networks(network, prepared, defaults, cache, options);
  Stage stage(networks, specs_of(prepared));
  Progress bar("whole networks", static_cast<int64_t>(variants.size()));
  Status status = stage.against_default(defaults);
  for (size_t i = 0; i < variants.size() && status.ok() && !options.over(); ++i) {
    bar.update(static_cast<int64_t>(i), fmt::format("best {:.2f} ms", stage.best_ms()));
    status = stage.try_variant(variants[i]);
  }
  if (!status.ok() && status.error().code != ExitCode::interrupted) return status.error();
  for (size_t i = 0; i < prepared.calls.size(); ++i) prepared.calls[i].spec = stage.best()[i];
  return stage.result();
}

}  // namespace emulsion
