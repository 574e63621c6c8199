#include "lower/algorithm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/half.h"
#include "lower/algorithm_row.h"
#include "lower/machine.h"

namespace emulsion {

const std::vector<AlgorithmRow>& algorithm_rows() {
  static const std::vector<AlgorithmRow> rows = {
      // Convolutions, the most special first.
      depthwise_row(),
      pointwise_row(),
      direct_row(),
      packed_row(),
      winograd4_row(),
      winograd2_row(),
      winograd5_row(),
      winograd6_row(),
      strassen_row(),
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
  const bool half = spec.weights == ElementType::f16;
  if (half && !takes_half_weights(spec, &reason)) return error("16-bit weights: {}", reason);
  if (spec.algorithm.empty()) {
    std::string reasons;
    CostedSchedule best;
    for (const AlgorithmRow& candidate : algorithm_rows()) {
      reason.clear();
      if (candidate.algorithm.error_bound <= k_default_error &&
          (!half || candidate.algorithm.half_error > 0) &&
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

bool may_overwrite_residual(const KernelSpec& spec) {
  const auto* conv = std::get_if<Conv>(&spec.op);
  if (!conv || !conv->epilogue.residual) return false;
  const AlgorithmRow* row = find_row(spec.algorithm);
  EMULSION_CHECK(row);
  return row->writes_once && row->writes_once(spec);
}

std::vector<PackedConstant> pack_constants(const KernelSpec& spec, const Op& op) {
  const Algorithm* algorithm = find_algorithm(spec.algorithm);
  EMULSION_CHECK(algorithm);
  std::vector<PackedConstant> packed = algorithm->pack(spec, op);
  if (spec.weights != ElementType::f32) packed.at(0).type = spec.weights;
  return packed;
}

std::vector<PackedConstant> constant_shapes(const KernelSpec& spec) {
  const Result<KernelSpec> bare = parse_kernel_spec(to_text(spec));
  EMULSION_CHECK(bare.ok());
  return pack_constants(*bare, bare->op);
}

int64_t byte_count(const PackedConstant& constant) {
  auto bytes = static_cast<int64_t>(bytes_of(constant.type));
  for (const int extent : constant.extents) bytes *= extent;
  return bytes;
}

std::string stored_bytes(const PackedConstant& constant) {
  const size_t count = constant.data.size();
  if (constant.type == ElementType::f32)
    return {reinterpret_cast<const char*>(constant.data.data()), count * sizeof(float)};
  std::string bytes(count * sizeof(uint16_t), '\0');
  for (size_t i = 0; i < count; ++i) {
    const uint16_t half = to_half(constant.data[i]);
    std::memcpy(&bytes[i * sizeof half], &half, sizeof half);
  }
  return bytes;
}

namespace {

Constant weights_of(const Op& op) {
  if (const auto* conv = std::get_if<Conv>(&op)) return conv->weight;
  if (const auto* dense = std::get_if<Dense>(&op)) return dense->weight;
  return nullptr;
}

}  // namespace

bool takes_half_weights(const KernelSpec& spec, std::string* reason) {
  const Algorithm* algorithm = find_algorithm(spec.algorithm);
  if (!weights_of(spec.op)) {
    *reason = fmt::format("a {} has no weights", op_name(spec.op));
  } else if (algorithm && algorithm->half_error == 0) {
    *reason = fmt::format("algorithm {} reads f32 only", spec.algorithm);
  } else if (!converts_halves(spec.target)) {
    *reason = fmt::format("target '{}' has no f16c to convert them", spec.target);
  } else {
    return true;
  }
  return false;
}

bool half_holds(const Op& op) {
  // A transformed weight is at most so many times the largest weight: (1/2 + 1/2 + 1/2)^2 for
  // Winograd's F(2x2, 3x3) and less for larger tiles, (1 + 1)^2 with stride 2; a sum of four of
  // them is Strassen's.
  constexpr float k_most = k_largest_half / 4.0f;
  const Constant weights = weights_of(op);
  return weights && std::all_of(weights->data.begin(), weights->data.end(),
                                [](float w) { return std::abs(w) <= k_most; });
}

double error_bound(const KernelSpec& spec) {
  const Algorithm* algorithm = find_algorithm(spec.algorithm);
  EMULSION_CHECK(algorithm);
  return algorithm->error_bound + (spec.weights == ElementType::f16 ? algorithm->half_error : 0);
}

}  // namespace emulsion
