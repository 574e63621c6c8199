#include "compile/half_weights.h"

#include <algorithm>
#include <map>

#include "lower/algorithm.h"
#include "lower/conv_costs.h"
#include "lower/conv_templates.h"
#include "lower/lower.h"
#include "lower/machine.h"

namespace emulsion {
namespace {

int64_t weight_count(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return element_count(conv->weight->shape);
  if (const auto* dense = std::get_if<Dense>(&op)) return element_count(dense->weight->shape);
  return 0;
}

double expected_cycles(const KernelSpec& spec) {
  return find_algorithm(spec.algorithm)->best_guess(spec).cycles;
}

// The spec as it would be by default.
Result<KernelSpec> by_default(KernelSpec spec) {
  spec.algorithm = spec.schedule = "";
  return completed(std::move(spec));
}

}  // namespace

int64_t stored_weights(const KernelSpec& spec) {
  const PackedConstant weights = constant_shapes(spec).at(0);
  return byte_count(weights) / static_cast<int64_t>(bytes_of(weights.type));
}

bool streams_weights(const KernelSpec& spec) {
  return 4 * weight_count(spec.op) > machine_of(spec.target).l2_bytes / 2;
}

Result<KernelSpec> halved(const KernelSpec& spec) {
  if (!half_holds(spec.op)) return error("weights are too large for half precision");
  KernelSpec half = spec;
  half.weights = ElementType::f16;
  return completed(std::move(half));
}

std::optional<RiskyChoice> half_choice(const KernelSpec& spec) {
  // The model is rougher than a few percent.
  constexpr double k_clearly = 0.95;
  if (spec.weights == ElementType::f16 || !streams_weights(spec)) return std::nullopt;
  Result<KernelSpec> half = halved(spec);
  if (!half.ok()) return std::nullopt;
  const double far_bytes = core_of(spec.target).far_bytes;
  if (std::holds_alternative<Dense>(spec.op)) {
    // Each weight is read once for a few rows: nothing but streaming.
    const auto cycles = 2.0 * static_cast<double>(weight_count(spec.op)) / far_bytes;
    return RiskyChoice{0, spec, *std::move(half), cycles, 0};
  }
  const Result<KernelSpec> usual = by_default(spec);
  const bool free = usual.ok() && to_text(*usual) == to_text(spec);
  if (free) {
    KernelSpec other = spec;
    other.weights = ElementType::f16;
    if (auto best = by_default(std::move(other)); best.ok()) half = std::move(best);
  }
  const double before = expected_cycles(spec), after = expected_cycles(*half);
  // The model lets streaming overlap with everything else, as no machine quite does: where it takes
  // nearly all of the time, half of it is felt.
  constexpr double k_bound = 0.75, k_felt = 0.1;
  const double streaming = 4.0 * static_cast<double>(stored_weights(spec)) / far_bytes;
  const bool bound = streaming > k_bound * before;
  if (!bound && after > k_clearly * before) return std::nullopt;
  return RiskyChoice{0, spec, *std::move(half), std::max(before - after, k_felt * streaming), 0};
}

Result<HalfWeights> with_half_weights(const Network& network, const Plan& plan, KernelCache& cache,
                                      const HalfWeightOptions& options) {
  HalfWeightOptions resolved = options;
  TRY(resolved.compile.target, resolve_target(options.compile.target));
  const std::string& target = resolved.compile.target;
  const int threads = options.compile.threads;
  TRY(PreparedNetwork prepared, prepare(network, plan, target, threads));
  const Plan safe = explicit_plan(prepared, target, threads);
  std::vector<RiskyChoice> choices;
  std::map<std::string, double> errors;  // by kernel
  for (size_t i = 0; i < prepared.calls.size(); ++i) {
    std::optional<RiskyChoice> choice = half_choice(prepared.calls[i].spec);
    if (!choice) continue;
    choice->call = i;
    const std::string name = kernel_name(choice->risky);
    if (!errors.contains(name)) {
      const auto measured = kernel_difference(cache, choice->safe, choice->risky);
      if (!measured.ok() && measured.error().code == ExitCode::interrupted) return measured.error();
      errors[name] = measured.ok() ? *measured : error_bound(choice->risky);
    }
    choice->error = errors[name];
    choices.push_back(*std::move(choice));
  }
  if (choices.empty()) {
    HalfWeights result{safe, {}};
    result.report.tolerance = options.tolerance;
    return result;
  }
  TRY(const ToleranceCheck check, ToleranceCheck::make(network, safe, cache, resolved.compile,
                                                       options.data, options.tolerance));
  HalfWeights result;
  TRY(result.report,
      keep_within_tolerance(network, prepared, choices, cache, resolved.compile, check));
  result.plan = explicit_plan(prepared, target, threads);
  return result;
}

}  // namespace emulsion
