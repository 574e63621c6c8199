#include "compile/measured_kernels.h"

#include <algorithm>
#include <map>

#include "compile/tolerance.h"
#include "lower/algorithm.h"
#include "lower/machine.h"

namespace emulsion {
namespace {

double expected_ms(const KernelSpec& spec, const CostModel& model) {
  const double cycles = find_algorithm(spec.algorithm)->best_guess(spec).cycles;
  return model.expected_ms(spec, model.roofline_ms(spec, cycles));
}

}  // namespace

std::vector<DistinctKernel> distinct_kernels(const PreparedNetwork& prepared,
                                             const CostModel& model, ElementType weights) {
  std::map<std::string, DistinctKernel> by_name;
  for (size_t i = 0; i < prepared.calls.size(); ++i) {
    const KernelCall& call = prepared.calls[i];
    const bool dense = call.dense >= 0 && weights == ElementType::f16;
    if (call.convs.empty() && !dense) continue;
    DistinctKernel& kernel = by_name[kernel_name(call.spec)];
    kernel.spec = call.spec;
    kernel.calls.push_back(i);
  }
  std::vector<std::pair<double, DistinctKernel>> weighted;
  for (auto& [name, kernel] : by_name) {
    const double ms = expected_ms(kernel.spec, model) * static_cast<double>(kernel.calls.size());
    weighted.emplace_back(ms, std::move(kernel));
  }
  std::stable_sort(weighted.begin(), weighted.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<DistinctKernel> kernels;
  for (auto& [ms, kernel] : weighted) kernels.push_back(std::move(kernel));
  return kernels;
}

const MeasuredKernel* fastest_safe(const DistinctKernel& kernel) {
  const auto safe = std::find_if(kernel.measured.begin(), kernel.measured.end(),
                                 [](const MeasuredKernel& m) { return !is_risky(m.spec); });
  return safe == kernel.measured.end() ? nullptr : &*safe;
}

KernelMeasurer::KernelMeasurer(KernelCache& cache, CostModel& model, Records* records,
                               const AlternativeOptions& alternatives, int threads,
                               std::function<bool()> over)
    : cache_(cache),
      model_(model),
      records_(records),
      alternatives_(alternatives),
      over_(std::move(over)) {
  timing_.threads = threads;
  timing_.seconds = 0.2;
}

Status KernelMeasurer::measure(DistinctKernel& kernel) {
  constexpr size_t k_at_once = 4;
  constexpr double k_clearly = 0.98;
  const std::vector<Alternative> candidates = alternatives(kernel.spec, model_, alternatives_);
  std::vector<std::pair<double, MeasuredKernel>> keyed;
  for (size_t first = 0; first < candidates.size() && !over_(); first += k_at_once) {
    const size_t last = std::min(candidates.size(), first + k_at_once);
    TRY(const auto times, times_of({candidates.begin() + first, candidates.begin() + last}));
    for (size_t i = first; i < last; ++i) {
      const double ms = times[i - first];
      if (i == 0) kernel.own_ms = ms;
      if (ms > 0)
        keyed.emplace_back(i == 0 ? k_clearly * ms : ms, MeasuredKernel{candidates[i].spec, ms});
    }
  }
  std::stable_sort(keyed.begin(), keyed.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (auto& [key, measured] : keyed) kernel.measured.push_back(std::move(measured));
  return ok();
}

Result<std::vector<double>> KernelMeasurer::times_of(const std::vector<Alternative>& alternatives) {
  std::vector<double> result(alternatives.size(), 0);
  std::vector<KernelSpec> specs, unknown;
  for (const Alternative& alternative : alternatives) specs.push_back(alternative.spec);
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
    const double roofline_ms = alternatives[places[i]].roofline_ms;
    result[places[i]] = times[i]->cold_min_ms;
    model_.learn(way_of(unknown[i]), roofline_ms, times[i]->cold_min_ms);
    if (records_)
      TRY_OK(records_->add(kernel_name(unknown[i]), *times[i], way_of(unknown[i]), roofline_ms));
  }
  return result;
}

Result<CostModel> cost_model(KernelCache& cache, const std::string& target, int threads,
                             Records* records) {
  const Machine machine = machine_of(target);
  std::optional<MachineRates> rates = records ? records->rates() : std::nullopt;
  if (!rates) {
    Result<MachineRates> measured = measured_rates(cache, target, threads);
    if (measured.ok()) {
      rates = *measured;
      if (records) TRY_OK(records->add(*rates));
    } else {
      // The peak is known on x86 alone: elsewhere a core of 3 GHz and 10 GB/s. Errors they all have
      // in common are corrected.
      rates = MachineRates{6.0 * machine.core.fmas * machine.vector * threads, 10};
    }
  }
  CostModel model(*rates, threads, machine);
  if (records)
    for (const ModelledKernel& kernel : records->modelled())
      model.learn(kernel.way, kernel.roofline_ms, kernel.cold_ms);
  return model;
}

}  // namespace emulsion
