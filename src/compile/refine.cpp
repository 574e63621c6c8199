#include "compile/refine.h"

#include <algorithm>
#include <chrono>

#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/half_weights.h"
#include "compile/measured_kernels.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

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

// What the cost model expects of half precision, for the calls of a kernel that there was no time
// to measure.
void add_expected(const PreparedNetwork& prepared, const DistinctKernel& kernel,
                  const CostModel& model, KernelCache& cache, std::vector<RiskyChoice>& choices) {
  double error = 0;  // of the kernel
  for (const size_t call : kernel.calls) {
    std::optional<RiskyChoice> choice = half_choice(prepared.calls[call].spec);
    if (!choice) continue;
    choice->call = call;
    choice->gain /= model.cycles_a_ms();
    if (error == 0) {
      const auto measured = kernel_difference(cache, choice->safe, choice->risky);
      error = measured.ok() ? *measured : error_bound(choice->risky);
    }
    choice->error = error;
    choices.push_back(*std::move(choice));
  }
}

void take_fastest_safe(PreparedNetwork& prepared, const std::vector<DistinctKernel>& kernels) {
  for (const DistinctKernel& kernel : kernels) {
    const MeasuredKernel* const safe = fastest_safe(kernel);
    if (!safe) continue;
    for (const size_t call : kernel.calls) {
      KernelSpec& spec = prepared.calls[call].spec;
      spec = with_op(safe->spec, spec.op);
    }
  }
}

// What errs more and is clearly faster than the safe choices, which the calls have.
std::vector<RiskyChoice> risky_choices(const PreparedNetwork& prepared,
                                       const std::vector<DistinctKernel>& kernels,
                                       const CostModel& model, KernelCache& cache,
                                       ElementType weights) {
  constexpr double k_worth_a_risk = 0.97;
  std::vector<RiskyChoice> choices;
  for (const DistinctKernel& kernel : kernels) {
    if (kernel.measured.empty()) {
      if (weights == ElementType::f16) add_expected(prepared, kernel, model, cache, choices);
      continue;
    }
    const MeasuredKernel* const safe = fastest_safe(kernel);
    if (!safe) continue;
    const auto fastest = std::min_element(kernel.measured.begin(), kernel.measured.end(),
                                          [](const auto& a, const auto& b) { return a.ms < b.ms; });
    const bool risk = is_risky(fastest->spec) && fastest->ms < k_worth_a_risk * safe->ms;
    if (!risk) continue;
    const Op& op = prepared.calls[kernel.calls[0]].spec.op;
    const auto measured =
        kernel_difference(cache, with_op(safe->spec, op), with_op(fastest->spec, op));
    const double error = measured.ok() ? *measured : error_bound(fastest->spec);
    for (const size_t call : kernel.calls) {
      const KernelSpec& spec = prepared.calls[call].spec;
      if (fastest->spec.weights == ElementType::f16 && !half_holds(spec.op)) continue;
      choices.push_back(
          {call, spec, with_op(fastest->spec, spec.op), safe->ms - fastest->ms, error});
    }
  }
  return choices;
}

// Second-best kernels of the heaviest, and those that a choice displaced.
std::vector<Variant> variants_of(const PreparedNetwork& prepared,
                                 const std::vector<DistinctKernel>& kernels, bool risky) {
  constexpr double k_near = 1.1;
  constexpr size_t k_most_of_kernel = 3;
  std::vector<std::pair<double, Variant>> weighted;
  for (const DistinctKernel& kernel : kernels) {
    if (kernel.measured.empty()) continue;
    const std::string chosen = kernel_name(prepared.calls[kernel.calls[0]].spec);
    const double least = kernel.measured.front().ms;
    size_t taken = 0;
    for (const MeasuredKernel& m : kernel.measured) {
      if (m.ms > k_near * least || taken == k_most_of_kernel) break;
      if (kernel_name(m.spec) == chosen || (!risky && is_risky(m.spec))) continue;
      ++taken;
      weighted.emplace_back(least * static_cast<double>(kernel.calls.size()),
                            Variant{kernel.calls, m.spec});
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
             PreparedNetwork prepared, Records* records, CostModel model, const Clock& clock)
      : network_(network),
        cache_(cache),
        options_(options),
        prepared_(std::move(prepared)),
        records_(records),
        model_(std::move(model)),
        clock_(clock),
        compile_(compile_options(options)) {}

  Result<Refined> run() {
    const std::vector<KernelSpec> defaults = specs_of(prepared_);
    kernels_ = distinct_kernels(prepared_, model_, options_.weights);
    TRY_OK(measure());
    take_fastest_safe(prepared_, kernels_);
    const std::vector<RiskyChoice> choices =
        risky_choices(prepared_, kernels_, model_, cache_, weights());
    Refined result;
    if (!choices.empty()) TRY_OK(take_risks(choices, result));
    TRY_OK(whole_networks(defaults, result));
    result.plan = plan();
    return result;
  }

 private:
  Plan plan() const { return explicit_plan(prepared_, options_.target, options_.threads); }

  // That may be taken: with no tolerance there is no half precision.
  ElementType weights() const {
    return options_.tolerance > 0 ? options_.weights : ElementType::f32;
  }

  Status measure() {
    KernelMeasurer measurer(cache_, model_, records_, {options_.tolerance > 0, weights()},
                            options_.threads, [this] { return clock_.over(k_kernels_part); });
    Progress bar("measuring alternatives", static_cast<int64_t>(kernels_.size()));
    for (size_t i = 0; i < kernels_.size() && !clock_.over(k_kernels_part); ++i) {
      bar.update(static_cast<int64_t>(i), so_far());
      TRY_OK(measurer.measure(kernels_[i]));
      if (options_.best_so_far) {
        take_fastest_safe(prepared_, kernels_);
        TRY_OK(options_.best_so_far(plan()));
      }
    }
    return ok();
  }

  // "1.32 instead of 1.41 ms": the measured kernels, each by itself and without risks.
  std::string so_far() const {
    double own_ms = 0, best_ms = 0;
    for (const DistinctKernel& kernel : kernels_) {
      const MeasuredKernel* const safe = fastest_safe(kernel);
      if (!safe || kernel.own_ms == 0) continue;
      own_ms += kernel.own_ms * static_cast<double>(kernel.calls.size());
      best_ms += safe->ms * static_cast<double>(kernel.calls.size());
    }
    return own_ms > 0 ? fmt::format("{:.3g} instead of {:.3g} ms", best_ms, own_ms) : "";
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
    TRY(result.networks,
        improve_as_whole(network_, prepared_, defaults, variants_of(prepared_, kernels_, risky),
                         cache_, options));
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
  CostModel model_;
  const Clock& clock_;
  CompileOptions compile_;
  std::vector<DistinctKernel> kernels_;
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
  TRY(CostModel model, cost_model(cache, resolved.target, resolved.threads, records));
  Refinement refinement(network, cache, resolved, std::move(prepared), records, std::move(model),
                        clock);
  TRY(Refined result, refinement.run());
  result.chains_tried = chains.tried;
  result.chains_taken = chains.taken;
  return result;
}

}  // namespace emulsion
