#include "lower/algorithm.h"

#include "lower/algorithm_row.h"

namespace emulsion {

const std::vector<AlgorithmRow>& algorithm_rows() {
  static const std::vector<AlgorithmRow> rows = {
      // Convolutions, the most special first.
      depthwise_row(),
      pointwise_row(),
      direct_row(),
      winograd4_row(),
      winograd2_row(),
      winograd6_row(),
      chain_row(),
      // Every other op.
      elementwise_row(),
      pool_row(),
      dense_row(),
      reduce_row(),
      normalize_row(),
      softmax_row(),
      move_row(),
  };
  return rows;
}

const AlgorithmRow* find_row(const std::string& algorithm) {
  for (const AlgorithmRow& row : algorithm_rows())
    if (row.algorithm.name == algorithm) return &row;
  return nullptr;
}

const std::vector<Algorithm>& algorithms() {
  static const std::vector<Algorithm> table = [] {
    std::vector<Algorithm> result;
    for (const AlgorithmRow& row : algorithm_rows()) result.push_back(row.algorithm);
    return result;
  }();
  return table;
}

const Algorithm* find_algorithm(const std::string& name) {
  const AlgorithmRow* row = find_row(name);
  return row ? &row->algorithm : nullptr;
}

Result<KernelSpec> completed(KernelSpec spec) {
  const AlgorithmRow* row = nullptr;
  std::string reason;
  if (spec.algorithm.empty()) {
    std::string reasons;
    CostedSchedule best;
    for (const AlgorithmRow& candidate : algorithm_rows()) {
      reason.clear();
      if (candidate.algorithm.error_bound <= k_default_error &&
          candidate.algorithm.applies(spec, &reason)) {
        const CostedSchedule guess = candidate.algorithm.best_guess(spec);
        if (!row || guess.cycles < best.cycles) {
          row = &candidate;
          best = guess;
        }
      }
      if (!reason.empty()) reasons += fmt::format("; {}: {}", candidate.algorithm.name, reason);
    }
    if (!row) return failure("no algorithm computes {}{}", to_text(spec.op), reasons);
    spec.algorithm = row->algorithm.name;
  } else {
    row = find_row(spec.algorithm);
    if (!row) {
      std::string names;
      for (const AlgorithmRow& r : algorithm_rows()) names += fmt::format(" {}", r.algorithm.name);
      return error("no algorithm is called '{}'; there are:{}", spec.algorithm, names);
    }
    if (!row->algorithm.applies(spec, &reason))
      return error("algorithm {} does not compute this {}: {}", spec.algorithm, op_name(spec.op),
                   reason);
  }
  if (spec.schedule.empty()) {
    spec.schedule = row->algorithm.best_guess(spec).steps;
  } else if (!row->check_schedule) {
    return error("algorithm {} takes no schedule, but is given '{}'", spec.algorithm,
                 spec.schedule);
  } else if (const Status status = row->check_schedule(spec); !status.ok()) {
    return status.error().in(fmt::format("schedule '{}'", spec.schedule));
  }
  return spec;
}

Result<KernelSpec> completed_in_registers(KernelSpec spec) {
  if (!spec.algorithm.empty()) return completed(std::move(spec));
  for (const char* name : {"depthwise", "pointwise"}) {
    spec.algorithm = name;
    if (auto result = completed(spec); result.ok()) return result;
  }
  spec.algorithm = "direct";
  return completed(std::move(spec));
}

std::vector<PackedConstant> pack_constants(const KernelSpec& spec, const Op& op) {
  const Algorithm* algorithm = find_algorithm(spec.algorithm);
  EMULSION_CHECK(algorithm);
  return algorithm->pack(spec, op);
}

}  // namespace emulsion
