// ReduceMean and Softmax.
#include <algorithm>

#include "lower/reduction_funcs.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

namespace {

// Results above this size are computed again rather than kept on the stack.
constexpr int64_t k_stack_bytes = 64 << 10;

Func build_reduce_mean(const OpBuilder& b) {
  const auto& op = std::get<ReduceMean>(b.spec.op);
  const TensorDescriptor& in = b.input();
  const Vars vars = axis_vars(b.output().shape.size());

  // The reduced axes by ascending stride, and the output's variable for each kept one.
  std::vector<int> reduced = op.axes;
  std::stable_sort(reduced.begin(), reduced.end(),
                   [&](int a, int c) { return in.strides[a] < in.strides[c]; });
  const int contiguous = contiguous_axis(in);
  const auto first = std::find(reduced.begin(), reduced.end(), contiguous);
  const bool along_line = contiguous >= 0 && first != reduced.end();
  if (along_line) std::rotate(reduced.begin(), first, first + 1);
  std::vector<int64_t> extents;
  double count = 1;
  for (const int axis : reduced) {
    extents.push_back(in.shape[axis]);
    count *= static_cast<double>(in.shape[axis]);
  }
  const ReducedValue value = [&](const Indices& at_reduced) {
    Indices index(in.shape.size());
    for (size_t i = 0; i < reduced.size(); ++i) index[reduced[i]] = at_reduced[i];
    size_t next = 0;
    for (size_t axis = 0; axis < index.size(); ++axis) {
      if (!index[axis].defined()) {
        index[axis] = vars[next++];
      } else if (op.keep) {
        ++next;
      }
    }
    return at(b.inputs[0], index);
  };

  Func out("out");
  const Indices index = as_indices(vars);
  const auto mean = static_cast<float>(1.0 / count);
  if (extents.empty()) {
    at_out(out, index) = value({});
    schedule_output(out, vars, b.output(), b.lanes);
  } else if (along_line) {
    LineReduction sum("sum", Reduction::sum, vars, extents, b.lanes, value);
    at_out(out, index) = sum(index) * mean;
    sum.schedule(out, schedule_output(out, vars, b.output(), 1, {.cost = count}), false);
  } else {
    ColumnReduction sum("sum", Reduction::sum, vars, extents, value);
    at_out(out, index) = sum(index) * mean;
    sum.schedule(out, schedule_output(out, vars, b.output(), b.lanes,
                                      {.cost = count, .vectors = 4, .interleave = false}));
  }
  return out;
}

Func build_softmax(const OpBuilder& b) {
  const int axis = std::get<Softmax>(b.spec.op).axis;
  const TensorDescriptor &in = b.input(), &out = b.output();
  const int64_t extent = out.shape[axis];
  const Vars vars = axis_vars(out.shape.size());
  const Indices index = as_indices(vars);
  // What depends on the line alone has no variable for the axis.
  Vars kept = vars;
  kept.erase(kept.begin() + axis);
  const auto on_line = [&](const Expr& i) {
    Indices at = index;
    at[axis] = i;
    return at;
  };
  const auto input = [&](const Expr& i) { return at(b.inputs[0], on_line(i)); };

  Func result("out"), power("power");
  const Indices kept_index = as_indices(kept);
  const double cost = 20;  // an exponential is about so many operations
  if (contiguous_axis(in) == axis && contiguous_axis(out) == axis) {
    LineReduction largest("largest", Reduction::max, kept, {extent}, b.lanes,
                          [&](const Indices& i) { return input(i[0]); });
    power(index) = Halide::exp(input(vars[axis]) - largest(kept_index));
    LineReduction sum("sum", Reduction::sum, kept, {extent}, b.lanes,
                      [&](const Indices& i) { return power(on_line(i[0])); });
    at_out(result, index) = power(index) / sum(kept_index);
    const LoopSchedule loops =
        schedule_output(result, vars, out, b.lanes, {.cost = cost, .interleave = false});
    largest.schedule(result, loops, true);
    sum.schedule(result, loops, true);
    if (extent * static_cast<int64_t>(sizeof(float)) <= k_stack_bytes) {
      power.compute_at(result, loops.line).store_in(Halide::MemoryType::Stack);
      power.vectorize(vars[axis], loops.lanes);
    }
    return result;
  }
  ColumnReduction largest("largest", Reduction::max, kept, {extent},
                          [&](const Indices& i) { return input(i[0]); });
  const auto exponential = [&](const Expr& i) {
    return Halide::exp(input(i) - largest(kept_index));
  };
  ColumnReduction sum("sum", Reduction::sum, kept, {extent},
                      [&](const Indices& i) { return exponential(i[0]); });
  at_out(result, index) = exponential(vars[axis]) / sum(kept_index);
  LoopSchedule loops = schedule_output(result, vars, out, b.lanes,
                                       {.cost = cost, .interleave = false, .inside = {axis}});
  if (loops.axis > axis) --loops.axis;  // as an axis of those kept
  largest.schedule(result, loops);
  sum.schedule(result, loops);
  return result;
}

}  // namespace

AlgorithmRow reduce_row() {
  AlgorithmRow row;
  row.algorithm.name = "reduce";
  row.algorithm.sentence = "mean over axes, in vectors of outputs or of partial sums";
  row.algorithm.applies = takes<ReduceMean>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_nothing;
  row.algorithm.error_bound = 1e-5;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_reduce_mean); };
  return row;
}

AlgorithmRow softmax_row() {
  AlgorithmRow row;
  row.algorithm.name = "softmax";
  row.algorithm.sentence = "softmax along one axis, the largest element subtracted first";
  row.algorithm.applies = takes<Softmax>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_nothing;
  row.algorithm.error_bound = 1e-5;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_softmax); };
  return row;
}

}  // namespace emulsion
