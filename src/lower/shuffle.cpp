#include "lower/shuffle.h"

namespace emulsion {

using namespace Halide::Internal;  // NOLINT: this file is about Halide's IR
using Halide::Expr;

Stmt ShufflesBlocks::visit(const LetStmt* op) {
  lets_.emplace_back(op->name, op->value);
  Stmt result = IRMutator::visit(op);
  lets_.pop_back();
  return result;
}

Expr ShufflesBlocks::visit(const Let* op) {
  lets_.emplace_back(op->name, op->value);
  Expr result = IRMutator::visit(op);
  lets_.pop_back();
  return result;
}

Expr ShufflesBlocks::visit(const Load* op) {
  const int lanes = op->type.lanes();
  const auto* ramp = op->index.as<Ramp>();
  const bool dense = lanes == 1 || (ramp && is_const_one(ramp->stride));
  if (op->name != buffer_ || dense || !is_const_one(op->predicate)) return IRMutator::visit(op);
  const Expr index = substitute_lets(lets_, op->index);
  const Expr first = simplify(extract_lane(index, 0));
  const ModulusRemainder alignment = modulus_remainder(first);
  if (alignment.modulus % block_ != 0) return IRMutator::visit(op);
  const int within = static_cast<int>(alignment.remainder % block_);
  std::vector<int> places;
  for (int lane = 0; lane < lanes; ++lane) {
    const auto offset = as_const_int(simplify(extract_lane(index, lane) - first));
    if (!offset || within + *offset < 0 || within + *offset >= block_) return IRMutator::visit(op);
    places.push_back(within + static_cast<int>(*offset));
  }
  const Expr block = Load::make(op->type.with_lanes(block_), op->name,
                                Ramp::make(simplify(first - within), 1, block_), op->image,
                                op->param, const_true(block_), ModulusRemainder(block_, 0));
  return Shuffle::make({block}, places);
}

}  // namespace emulsion
