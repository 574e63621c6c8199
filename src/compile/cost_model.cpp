#include "compile/cost_model.h"

#include <algorithm>
#include <cmath>

#include "lower/algorithm.h"

namespace emulsion {
namespace {

constexpr double k_flops_an_fma = 2;

}  // namespace

CostModel::CostModel(const MachineRates& rates, int threads, const Machine& machine)
    : cycles_a_ms_(1e6 * rates.peak_gflops /
                   (threads * machine.vector * machine.core.fmas * k_flops_an_fma)),
      bytes_a_ms_(1e6 * rates.stream_gbps) {}

double CostModel::roofline_ms(const KernelSpec& spec, double cycles) const {
  double bytes = 0;
  for (const PackedConstant& constant : constant_shapes(spec))
    bytes += static_cast<double>(byte_count(constant));
  return std::max(cycles / cycles_a_ms_, bytes / bytes_a_ms_);
}

double CostModel::expected_ms(const KernelSpec& spec, double roofline_ms) const {
  // So many kernels that err as all do count beside those of its own way.
  constexpr double k_prior = 2;
  const auto found = by_way_.find(way_of(spec));
  const Logs own = found == by_way_.end() ? Logs() : found->second;
  const double mean = all_.sum / (1 + all_.count);
  return roofline_ms * std::exp((k_prior * mean + own.sum) / (k_prior + own.count));
}

void CostModel::learn(const std::string& way, double roofline_ms, double cold_ms) {
  if (roofline_ms <= 0 || cold_ms <= 0) return;
  for (Logs* logs : {&all_, &by_way_[way]}) {
    logs->sum += std::log(cold_ms / roofline_ms);
    ++logs->count;
  }
}

std::string way_of(const KernelSpec& spec) {
  return spec.weights == ElementType::f32 ? spec.algorithm
                                          : spec.algorithm + " " + to_text(spec.weights);
}

}  // namespace emulsion
