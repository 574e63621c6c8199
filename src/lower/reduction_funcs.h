// Reductions within a kernel: down vectors of the output's elements where the input's contiguous
// axis is kept, and along that axis in vectors of partial results where it is the one to be
// reduced. Private to lower/.
#pragma once

#include <Halide.h>

#include <functional>
#include <string>
#include <vector>

#include "lower/op_funcs.h"

namespace emulsion {

enum class Reduction { sum, max };

// The value to be reduced at indices of the reduced axes.
using ReducedValue = std::function<Halide::Expr(const Indices& reduced)>;

// A reduction along contiguous memory: vectors of partial results, those reduced to one, then what
// is left of the first axis.
class LineReduction {
 public:
  // extents: of the reduced axes, the contiguous one first; value takes indices in this order.
  // lanes: partial results, one or more vectors of them.
  LineReduction(const std::string& name, Reduction kind, const Vars& kept,
                const std::vector<int64_t>& extents, int lanes, const ReducedValue& value);

  Halide::Expr operator()(const Indices& kept) const { return total_(kept); }

  // Once a line: at this loop of the consumer, or at the root where the consumer has no loops.
  void schedule(const Halide::Func& consumer, const LoopSchedule& loops, bool by_line);
  // At the root, on the stack: where all loops of the consumer would compute it again.
  void schedule_once();

 private:
  void vectorise();

  int lanes_;
  Halide::Func partial_, total_;
  Halide::Var lane_;
  Halide::RVar lanes_rvar_;
};

// A reduction down vectors of the consumer's elements.
class ColumnReduction {
 public:
  ColumnReduction(const std::string& name, Reduction kind, const Vars& kept,
                  const std::vector<int64_t>& extents, const ReducedValue& value);

  Halide::Expr operator()(const Indices& kept) const { return total_(kept); }

  void schedule(const Halide::Func& consumer, const LoopSchedule& loops);

 private:
  Vars kept_;
  Halide::RDom domain_;
  Halide::Func total_;
};

}  // namespace emulsion
