#include "compile/whole_networks.h"

#include <algorithm>

#include "base/progress.h"
#include "compile/driver.h"
#include "compile/network_timer.h"

namespace emulsion {
namespace {

// A network by its calls' kernels.
struct Candidate {
  std::vector<KernelSpec> specs;
  WeightStreaming streaming;
  PlannedNetwork network;
  double difference = 0;
};

class WholeNetworks {
 public:
  WholeNetworks(const Network& network, const PreparedNetwork& prepared,
                const std::vector<KernelSpec>& defaults, KernelCache& cache,
                const WholeNetworkOptions& options)
      : prepared_(prepared),
        defaults_(defaults),
        options_(options),
        timer_(network, cache, options.compile, options.records) {}

  Candidate candidate(std::vector<KernelSpec> specs, const WeightStreaming& streaming) {
    for (size_t i = 0; i < specs.size(); ++i) prepared_.calls[i].spec = specs[i];
    prepared_.streaming = streaming;
    return {std::move(specs),
            streaming,
            {explicit_plan(prepared_, options_.compile.target, options_.compile.threads), {}},
            0};
  }

  // Whether a network may be taken: nothing in it is risky, or it is close enough on the data.
  Result<bool> allowed(Candidate& candidate) {
    if (!risks_more(candidate.specs)) return true;
    if (!options_.check) return false;
    TRY(LoadedNetwork* const loaded, timer_.load(candidate.network));
    TRY(candidate.difference, options_.check->difference(*loaded));
    return options_.check->holds(candidate.difference);
  }

  Result<int64_t> weights_bytes(Candidate& candidate) {
    TRY(LoadedNetwork* const loaded, timer_.load(candidate.network));
    return loaded->compiled().weights_bytes;
  }

  // Whether kernels prefetch the next layer's weights alike.
  bool prefetch_alike(const std::vector<KernelSpec>& specs, const WeightStreaming& a,
                      const WeightStreaming& b) {
    return prefetching(specs, a) == prefetching(specs, b);
  }

  Result<NetworkRecord> time(Candidate& original, Candidate& changed) {
    return timer_.time(original.network, changed.network);
  }

 private:
  // KB, by call.
  std::vector<int> prefetching(const std::vector<KernelSpec>& specs,
                               const WeightStreaming& streaming) {
    PreparedNetwork prepared = prepared_;
    prepared.streaming = streaming;
    for (size_t i = 0; i < specs.size(); ++i) prepared.calls[i].spec = specs[i];
    prefetch_next_weights(prepared);
    std::vector<int> result;
    for (const KernelCall& call : prepared.calls) result.push_back(call.spec.prefetch_next_kb);
    return result;
  }

  // Than what the network begins with: that was asked for.
  bool risks_more(const std::vector<KernelSpec>& specs) const {
    for (size_t i = 0; i < specs.size(); ++i)
      if (is_risky(specs[i]) && kernel_name(specs[i]) != kernel_name(defaults_[i])) return true;
    return false;
  }

  PreparedNetwork prepared_;
  const std::vector<KernelSpec>& defaults_;
  const WholeNetworkOptions& options_;
  NetworkTimer timer_;
};

class Stage {
 public:
  Stage(WholeNetworks& networks, std::vector<KernelSpec> specs, const WeightStreaming& streaming)
      : networks_(networks), best_(networks.candidate(std::move(specs), streaming)) {}

  Status against_default(const std::vector<KernelSpec>& defaults) {
    Candidate by_default = networks_.candidate(defaults, best_.streaming);
    if (by_default.network.plan == best_.network.plan) return ok();
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
    for (const size_t call : variant.calls) specs[call] = with_op(variant.spec, specs[call].op);
    return try_network(networks_.candidate(std::move(specs), best_.streaming));
  }

  Status try_huge_pages(bool huge_pages) {
    TRY(const int64_t bytes, networks_.weights_bytes(best_));
    if (bytes < k_huge_page_bytes) return ok();
    WeightStreaming streaming = best_.streaming;
    streaming.huge_pages = huge_pages;
    return try_network(networks_.candidate(best_.specs, streaming));
  }

  Status try_prefetching(int next_kb) {
    WeightStreaming streaming = best_.streaming;
    streaming.prefetch_next_kb = next_kb;
    if (!networks_.prefetch_alike(best_.specs, best_.streaming, streaming))
      return try_network(networks_.candidate(best_.specs, streaming));
    return ok();
  }

  double best_ms() const { return best_ms_; }
  const std::vector<KernelSpec>& best() const { return best_.specs; }
  const WeightStreaming& streaming() const { return best_.streaming; }
  WholeNetworkResult result() const {
    WholeNetworkResult result = result_;
    result.difference = best_.difference;
    return result;
  }

 private:
  Status try_network(Candidate changed) {
    if (changed.network.plan == best_.network.plan) return ok();
    TRY(const bool allowed, networks_.allowed(changed));
    if (!allowed) return ok();
    TRY(const NetworkRecord record, networks_.time(best_, changed));
    ++result_.tried;
    best_ms_ = record.original_min_ms;
    if (!clearly_faster(record)) return ok();
    ++result_.taken;
    best_ms_ = record.min_ms;
    best_ = std::move(changed);
    return ok();
  }

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
  Stage stage(networks, specs_of(prepared), prepared.streaming);
  // Prefetches last: kernels have to be compiled for them.
  std::vector<std::function<Status()>> tries = {[&] { return stage.try_huge_pages(false); },
                                                [&] { return stage.try_huge_pages(true); }};
  for (const Variant& variant : variants)
    tries.emplace_back([&] { return stage.try_variant(variant); });
  for (const int next_kb : {0, 64, 256})
    tries.emplace_back([&stage, next_kb] { return stage.try_prefetching(next_kb); });
  Progress bar("whole networks", static_cast<int64_t>(tries.size()));
  Status status = stage.against_default(defaults);
  for (size_t i = 0; i < tries.size() && status.ok() && !options.over(); ++i) {
    bar.update(static_cast<int64_t>(i), fmt::format("best {:.2f} ms", stage.best_ms()));
    status = tries[i]();
  }
  if (!status.ok() && status.error().code != ExitCode::interrupted) return status.error();
  prepared.streaming = stage.streaming();
  for (size_t i = 0; i < prepared.calls.size(); ++i) prepared.calls[i].spec = stage.best()[i];
  return stage.result();
}

}  // namespace emulsion
