#include "compile/refine.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "autoschedule/records.h"
#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/alternatives.h"
#include "compile/half_weights.h"
#include "compile/prepare.h"
#include "kernels/time_kernel.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct MeasuredKernel {
  KernelSpec spec;
  double ms = 0;  // with cold caches
};

// A distinct kernel, all calls that use it, and what could take its place, fastest first.
struct Group {
  KernelSpec spec;
  std::vector<size_t> calls;
  int64_t multiplies = 0;  // of all calls
  std::vector<MeasuredKernel> measured;
};

std::vector<Group> kernel_groups(const PreparedNetwork& prepared, ElementType weights) {
  std::map<std::string, Group> by_name;
  for (size_t i = 0; i < prepared.calls.size(); ++i) {
    const KernelCall& call = prepared.calls[i];
    const bool dense = call.dense >= 0 && weights == ElementType::f16;
    if (call.convs.empty() && !dense) continue;
    Group& group = by_name[kernel_name(call.spec)];
    group.spec = call.spec;
    group.calls.push_back(i);
    group.multiplies += multiplies(call.spec.op, call.spec.output.shape);
  }
  std::vector<Group> groups;
  for (auto& [name, group] : by_name) groups.push_back(std::move(group));
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.multiplies > b.multiplies; });
  return groups;
}

class Clock {
 public:
  explicit Clock(double seconds) : seconds_(seconds) {}
  bool over(double part = 1) const {
    using Seconds = std::chrono::duration<double>;
    const double passed = Seconds(std::chrono::steady_clock::now() - start_).count();
    return interrupted() || passed > part * seconds_;
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  double seconds_;
};

// When which convs are fused must be settled, and when kernels one by one, as parts of the time:
// the rest is for whole networks.
constexpr double k_chains_part = 0.15, k_kernels_part = 0.75;

class Measurer {
 public:
  Measurer(KernelCache& cache, const RefineOptions& options, Records* records, const Clock& clock)
      : cache_(cache), records_(records), clock_(clock) {
    alternatives_ = {options.tolerance > 0,
                     options.tolerance > 0 ? options.weights : ElementType::f32};
    timing_.threads = options.threads;
    timing_.seconds = 0.2;
  }

  // Those of a kernel's alternatives that there was time for and that work, fastest first; the
  // kernel itself before others that are not clearly faster.
  Result<std::vector<MeasuredKernel>> measure(const KernelSpec& spec) {
    constexpr size_t k_at_once = 4;
    constexpr double k_clearly = 0.98;
    const std::vector<KernelSpec> candidates = alternatives(spec, alternatives_);
    std::vector<MeasuredKernel> measured;
    double own_ms = 0;
    for (size_t first = 0; first < candidates.size() && !clock_.over(k_kernels_part);
         first += k_at_once) {
      const size_t last = std::min(candidates.size(), first + k_at_once);
      TRY(const auto times, times_of({candidates.begin() + first, candidates.begin() + last}));
      for (size_t i = first; i < last; ++i) {
        if (i == 0) own_ms = times[0];
        if (times[i - first] > 0) measured.push_back({candidates[i], times[i - first]});
      }
    }
    const auto key = [&](const MeasuredKernel& m) {
      const bool own = own_ms > 0 && &m == &measured.front();
      return own ? k_clearly * m.ms : m.ms;
    };
    std::vector<std::pair<double, MeasuredKernel>> keyed;
    for (const MeasuredKernel& m : measured) keyed.emplace_back(key(m), m);
    std::stable_sort(keyed.begin(), keyed.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    for (size_t i = 0; i < keyed.size(); ++i) measured[i] = std::move(keyed[i].second);
    return measured;
  }

 private:
  // Milliseconds with cold caches, from the records or measured; 0 where a kernel fails.
  Result<std::vector<double>> times_of(const std::vector<KernelSpec>& specs) {
    std::vector<double> result(specs.size(), 0);
    std::vector<KernelSpec> unknown;
    std::vector<size_t> places;
    const auto objects = cache_.compile(specs);
    for (size_t i = 0; i < specs.size(); ++i) {
      const auto known =
          records_ ? records_->kernel(kernel_name(specs[i])) : std::optional<KernelTime>();
      if (known) {
        result[i] = known->cold_min_ms;
      } else if (objects[i].ok()) {
        unknown.push_back(specs[i]);
        places.push_back(i);
      }
    }
    const auto times = time_kernels(cache_, unknown, timing_);
    for (size_t i = 0; i < times.size(); ++i) {
      if (!times[i].ok()) continue;
      result[places[i]] = times[i]->cold_min_ms;
      if (records_) TRY_OK(records_->add(kernel_name(unknown[i]), *times[i]));
    }
    return result;
  }

  KernelCache& cache_;
  Records* records_;
  const Clock& clock_;
  AlternativeOptions alternatives_;
  TimingOptions timing_;
};

// What the cost model expects of half precision, for the calls of a group that there was no time
// to measure.
void add_expected(const PreparedNetwork& prepared, const Group& group, KernelCache& cache,
                  std::vector<RiskyChoice>& choices) {
  double error = 0;                      // of the group's kernel
  constexpr double k_cycles_a_ms = 3e6;  // of some processor: gains are only compared
  for (const size_t call : group.calls) {
    std::optional<RiskyChoice> choice = half_choice(prepared.calls[call].spec);
    if (!choice) continue;
    choice->call = call;
    choice->gain /= k_cycles_a_ms;
    if (error == 0) {
      const auto measured = kernel_difference(cache, choice->safe, choice->risky);
      error = measured.ok() ? *measured : error_bound(choice->risky);
    }
    choice->error = error;
    choices.push_back(*std::move(choice));
  }
}

// The fastest safe choice of each group, for the calls; and what errs more and is clearly faster.
std::vector<RiskyChoice> choose(PreparedNetwork& prepared, const std::vector<Group>& groups,
                                KernelCache& cache, ElementType weights) {
  constexpr double k_worth_a_risk = 0.97;
  std::vector<RiskyChoice> choices;
  for (const Group& group : groups) {
    if (group.measured.empty()) {
      if (weights == ElementType::f16) add_expected(prepared, group, cache, choices);
      continue;
    }
    const auto safe = std::find_if(group.measured.begin(), group.measured.end(),
                                   [](const MeasuredKernel& m) { return !is_risky(m.spec); });
    if (safe == group.measured.end()) continue;
    const auto fastest = std::min_element(group.measured.begin(), group.measured.end(),
                                          [](const auto& a, const auto& b) { return a.ms < b.ms; });
    const bool risk = is_risky(fastest->spec) && fastest->ms < k_worth_a_risk * safe->ms;
    double error = 0;
    if (risk) {
      const Op& op = prepared.calls[group.calls[0]].spec.op;
      const auto measured =
          kernel_difference(cache, with_op(safe->spec, op), with_op(fastest->spec, op));
      error = measured.ok() ? *measured : error_bound(fastest->spec);
    }
    for (const size_t call : group.calls) {
      KernelSpec& spec = prepared.calls[call].spec;
      const Op op = spec.op;
      spec = with_op(safe->spec, op);
      if (!risk || (fastest->spec.weights == ElementType::f16 && !half_holds(op))) continue;
      choices.push_back({call, spec, with_op(fastest->spec, op), safe->ms - fastest->ms, error});
    }
  }
  return choices;
}

// Second-best kernels of the heaviest groups, and those that a choice displaced.
std::vector<Variant> variants_of(const PreparedNetwork& prepared, const std::vector<Group>& groups,
                                 bool risky) {
  constexpr double k_near = 1.1;
  constexpr size_t k_most_of_group = 3;
  std::vector<std::pair<double, Variant>> weighted;
  for (const Group& group : groups) {
    if (group.measured.empty()) continue;
    const std::string chosen = kernel_name(prepared.calls[group.calls[0]].spec);
    const double least = group.measured.front().ms;
    size_t taken = 0;
    for (const MeasuredKernel& m : group.measured) {
      if (m.ms > k_near * least || taken == k_most_of_group) break;
      if (kernel_name(m.spec) == chosen || (!risky && is_risky(m.spec))) continue;
      ++taken;
      weighted.emplace_back(least * static_cast<double>(group.calls.size()),
                            Variant{group.calls, m.spec});
    }
  }
  std::stable_sort(weighted.begin(), weighted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<Variant> variants;
  for (auto& [ms, variant] : weighted) variants.push_back(std::move(variant));
  return variants;
}

CompileOptions compile_options(const RefineOptions& options) {
  CompileOptions compile;
  compile.target = options.target;
  compile.threads = options.threads;
  compile.cc = options.cc;
  return compile;
}

class Refinement {
 public:
  Refinement(const Network& network, KernelCache& cache, const RefineOptions& options,
             PreparedNetwork prepared, Records* records, const Clock& clock)
      : network_(network),
        cache_(cache),
        options_(options),
        prepared_(std::move(prepared)),
        records_(records),
        clock_(clock),
        compile_(compile_options(options)) {}

  Result<Refined> run() {
    const std::vector<KernelSpec> defaults = specs_of(prepared_);
    groups_ = kernel_groups(prepared_, options_.weights);
    TRY_OK(measure());
    const std::vector<RiskyChoice> choices = choose(
        prepared_, groups_, cache_, options_.tolerance > 0 ? options_.weights : ElementType::f32);
    Refined result;
    if (!choices.empty()) TRY_OK(take_risks(choices, result));
    TRY_OK(whole_networks(defaults, result));
    result.plan = plan();
    return result;
  }

 private:
  Plan plan() const { return explicit_plan(prepared_, options_.target, options_.threads); }

  Status measure() {
    Measurer measurer(cache_, options_, records_, clock_);
    Progress bar("measuring alternatives", static_cast<int64_t>(groups_.size()));
    std::string best;  // of the group before
    for (size_t i = 0; i < groups_.size() && !clock_.over(k_kernels_part); ++i) {
      bar.update(static_cast<int64_t>(i), best);
      TRY(groups_[i].measured, measurer.measure(groups_[i].spec));
      if (groups_[i].measured.empty()) continue;
      const MeasuredKernel& first = groups_[i].measured.front();
      best = fmt::format("{} {:.3f} ms", first.spec.algorithm, first.ms);
    }
    return ok();
  }

  // Interrupted: nothing risky is chosen.
  Status take_risks(const std::vector<RiskyChoice>& choices, Refined& result) {
    const std::vector<KernelSpec> safe = specs_of(prepared_);
    const Status status = check_risks(choices, result);
    if (status.ok()) return status;
    for (size_t i = 0; i < safe.size(); ++i) prepared_.calls[i].spec = safe[i];
    return status.error().code == ExitCode::interrupted ? ok() : status;
  }

  Status check_risks(const std::vector<RiskyChoice>& choices, Refined& result) {
    TRY(check_, ToleranceCheck::make(network_, plan(), cache_, compile_, options_.data,
                                     options_.tolerance));
    TRY(result.report,
        keep_within_tolerance(network_, prepared_, choices, cache_, compile_, *check_));
    return ok();
  }

  Status whole_networks(const std::vector<KernelSpec>& defaults, Refined& result) {
    if (interrupted()) return ok();
    WholeNetworkOptions options;
    options.compile = compile_;
    options.check = check_ ? &*check_ : nullptr;
    options.records = records_;
    options.over = [this] { return clock_.over(); };
    // Where the tolerance is used up there is no room for other risks.
    const bool risky = result.report && result.report->taken_back == 0;
    TRY(result.networks, improve_as_whole(network_, prepared_, defaults,
                                          variants_of(prepared_, groups_, risky), cache_, options));
    if (result.report) {
      describe_risks(prepared_, *result.report);
      result.report->difference = result.networks->difference;
    }
    return ok();
  }

  const Network& network_;
  KernelCache& cache_;
  const RefineOptions& options_;
  PreparedNetwork prepared_;
  Records* records_;
  const Clock& clock_;
  CompileOptions compile_;
  std::vector<Group> groups_;
  std::optional<ToleranceCheck> check_;
};

}  // namespace

Result<Refined> refine(const Network& network, const Plan& plan, KernelCache& cache,
                       const RefineOptions& options) {
  RefineOptions resolved = options;
  TRY(resolved.target, resolve_target(options.target));
  std::optional<Records> file;
  if (!options.records.empty()) {
    TRY(file, Records::open(options.records, options.threads));
  }
  Records* const records = file ? &*file : nullptr;
  const Clock clock(options.seconds);
  NetworkTimer timer(network, cache, compile_options(resolved), records);
  ChainSearchOptions search{resolved.target, resolved.threads, {}, {}};
  search.time = [&](PlannedNetwork& original, PlannedNetwork& changed) {
    return timer.time(original, changed);
  };
  search.over = [&] { return clock.over(k_chains_part); };
  TRY(const ChainSearchResult chains, search_chains(network, plan, search));
  TRY(PreparedNetwork prepared, prepare(network, chains.plan, resolved.target, options.threads));
  Refinement refinement(network, cache, resolved, std::move(prepared), records, clock);
  TRY(Refined result, refinement.run());
  result.chains_tried = chains.tried;
  result.chains_taken = chains.taken;
  return result;
}

}  // namespace emulsion
