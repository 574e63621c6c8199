// Activation, Affine, BatchNorm and Binary: one output element from the input elements at its
// place.
#include <cmath>

#include "lower/activation.h"
#include "lower/op_funcs.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

namespace {

// Plain arithmetic is bound by memory, so an element costs about as much as its loads and store.
constexpr double k_streaming_cost = 3;

Func scheduled(const OpBuilder& b, const Vars& vars, const Expr& value, double cost = 0) {
  Func out("out");
  at_out(out, as_indices(vars)) = value;
  schedule_output(out, vars, b.output(), b.lanes,
                  {.cost = std::max(k_streaming_cost, cost), .vectors = cost > 4 ? 1 : 4});
  return out;
}

Func build_activation(const OpBuilder& b) {
  const auto& op = std::get<Activation>(b.spec.op);
  const Vars vars = axis_vars(b.output().shape.size());
  const Indices index = as_indices(vars);
  return scheduled(b, vars, activate(op, at(b.inputs[0], index), slope_at(b, op, index)),
                   activation_cost(op));
}

// Both are scale and shift per channel, in this order among the constants.
Func build_affine(const OpBuilder& b) {
  const Vars vars = axis_vars(b.output().shape.size());
  const Indices index = as_indices(vars);
  const Expr scaled = at(b.inputs[0], index) * at_channel(b.constants[0], index) +
                      at_channel(b.constants[1], index);
  const Affine* affine = std::get_if<Affine>(&b.spec.op);
  if (!affine) return scheduled(b, vars, scaled);
  return scheduled(b, vars,
                   activate(affine->activation, scaled, slope_at(b, affine->activation, index)),
                   activation_cost(affine->activation));
}

// NumPy's broadcasting: shapes aligned at their ends, index 0 where an input has one element.
Indices broadcast(const Indices& index, const Shape& shape) {
  Indices result;
  for (size_t i = 0; i < shape.size(); ++i)
    result.push_back(shape[i] == 1 ? Expr(0) : index[index.size() - shape.size() + i]);
  return result;
}

Func build_binary(const OpBuilder& b) {
  const auto& op = std::get<Binary>(b.spec.op);
  const Vars vars = axis_vars(b.output().shape.size());
  const Indices index = as_indices(vars);
  const Expr x = at(b.inputs[0], broadcast(index, b.input(0).shape));
  const Expr y = at(b.inputs[1], broadcast(index, b.input(1).shape));
  constexpr double k_pow_cost = 40;
  double cost = activation_cost(op.activation);
  Expr value;
  switch (op.kind) {
    case Binary::Kind::add:
      value = x + y;
      break;
    case Binary::Kind::sub:
      value = x - y;
      break;
    case Binary::Kind::mul:
      value = x * y;
      break;
    case Binary::Kind::div:
      value = x / y;
      break;
    case Binary::Kind::pow:
      value = power_of(x, y);
      cost += k_pow_cost;
      break;
  }
  return scheduled(b, vars, activate(op.activation, value, slope_at(b, op.activation, index)),
                   cost);
}

Func build_elementwise(const OpBuilder& b) {
  if (std::holds_alternative<Activation>(b.spec.op)) return build_activation(b);
  if (std::holds_alternative<Binary>(b.spec.op)) return build_binary(b);
  return build_affine(b);
}

// A batch norm as the scale and shift that it amounts to, computed in double.
std::vector<PackedConstant> pack_batch_norm(const BatchNorm& op) {
  const auto channels = static_cast<int>(op.scale->shape[0]);
  PackedConstant scale{{channels}, {}}, shift{{channels}, {}};
  if (!op.scale->abstract()) {
    for (int c = 0; c < channels; ++c) {
      const double factor =
          op.scale->data[c] / std::sqrt(double{op.variance->data[c]} + op.epsilon);
      scale.data.push_back(static_cast<float>(factor));
      shift.data.push_back(static_cast<float>(op.shift->data[c] - op.mean->data[c] * factor));
    }
  }
  return {scale, shift};
}

std::vector<PackedConstant> pack_elementwise(const KernelSpec&, const Op& op) {
  std::vector<PackedConstant> packed;
  if (const auto* norm = std::get_if<BatchNorm>(&op)) return pack_batch_norm(*norm);
  if (const auto* activation = std::get_if<Activation>(&op)) {
    append_packed(packed, slope_of(*activation));
  } else if (const auto* affine = std::get_if<Affine>(&op)) {
    append_packed(packed, affine->scale);
    append_packed(packed, affine->shift);
    append_packed(packed, slope_of(affine->activation));
  } else {
    append_packed(packed, slope_of(std::get<Binary>(op).activation));
  }
  return packed;
}

}  // namespace

AlgorithmRow elementwise_row() {
  AlgorithmRow row;
  row.algorithm.name = "elementwise";
  row.algorithm.sentence = "activation, scale and shift, or two tensors with broadcasting";
  row.algorithm.applies = takes<Activation, Affine, BatchNorm, Binary>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_elementwise;
  row.algorithm.error_bound = 1e-6;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_elementwise); };
  return row;
}

}  // namespace emulsion
