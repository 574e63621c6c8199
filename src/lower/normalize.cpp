// Normalize: mean, then the variance about it, then the elements, each a pass over what lies in a
// cache by then (a sum of squares would cancel).
#include <algorithm>

#include "lower/reduction_funcs.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;

namespace {

bool contains(const std::vector<int>& list, int x) {
  return std::find(list.begin(), list.end(), x) != list.end();
}

// Partial results of a line: vectors that hide an addition's latency, where they divide it; a power
// of two of them, which halving reduces to one.
int line_lanes(int64_t extent, int lanes) {
  for (const int vectors : {4, 2}) {
    if (extent % (int64_t{vectors} * lanes) == 0) return vectors * lanes;
  }
  return lanes;
}

// The pieces of a Normalize; what depends on the kept axes alone has no variable for the others.
struct Pieces {
  Vars vars, kept;
  std::vector<int> reduced;  // by ascending stride; those of one element are left out
  std::vector<int64_t> extents;
  float mean_factor = 1;
  Func inverse{"inverse"}, out{"out"};
};

Pieces pieces_of(const OpBuilder& b) {
  const auto& op = std::get<Normalize>(b.spec.op);
  const TensorDescriptor& in = b.input();
  Pieces p;
  p.vars = axis_vars(in.shape.size());
  int64_t count = 1;
  for (size_t i = 0; i < p.vars.size(); ++i) {
    const int axis = static_cast<int>(i);
    if (!contains(op.axes, axis)) p.kept.push_back(p.vars[i]);
    if (contains(op.axes, axis) && in.shape[i] > 1) p.reduced.push_back(axis);
    if (contains(op.axes, axis)) count *= in.shape[i];
  }
  if (p.reduced.empty()) p.reduced.push_back(op.axes[0]);
  std::stable_sort(p.reduced.begin(), p.reduced.end(),
                   [&](int a, int c) { return in.strides[a] < in.strides[c]; });
  for (const int axis : p.reduced) p.extents.push_back(in.shape[axis]);
  p.mean_factor = static_cast<float>(1.0 / static_cast<double>(count));
  return p;
}

// Defines inverse and out from two reductions that `make` makes, of name and value.
template <class Reduction, class Make>
std::pair<Reduction, Reduction> define(const OpBuilder& b, Pieces& p, Make make) {
  const Indices index = as_indices(p.vars), kept = as_indices(p.kept);
  const auto element = [&](const Indices& reduced) {
    Indices place = index;
    for (size_t i = 0; i < p.reduced.size(); ++i) place[p.reduced[i]] = reduced[i];
    return at(b.inputs[0], place);
  };
  Reduction sum = make("sum", [&](const Indices& i) { return element(i); });
  const Expr mean = sum(kept) * p.mean_factor;
  Reduction squares = make("squares", [&](const Indices& i) {
    const Expr centred = element(i) - mean;
    return centred * centred;
  });
  const float epsilon = std::get<Normalize>(b.spec.op).epsilon;
  p.inverse(kept) = 1.0f / Halide::sqrt(squares(kept) * p.mean_factor + epsilon);
  at_out(p.out, index) = (at(b.inputs[0], index) - mean) * p.inverse(kept);
  return {std::move(sum), std::move(squares)};
}

Func build_normalize(const OpBuilder& b) {
  Pieces p = pieces_of(b);
  const TensorDescriptor &in = b.input(), &out = b.output();
  constexpr double k_cost = 8;
  const auto line = [&](int lanes) {
    return [&p, lanes](const std::string& name, const ReducedValue& value) {
      return LineReduction(name, Reduction::sum, p.kept, p.extents, lanes, value);
    };
  };
  const int read = contiguous_axis(in), write = contiguous_axis(out);
  const bool along = contains(p.reduced, read), written = contains(p.reduced, write);
  if (along && read == write && p.reduced.size() == 1) {
    auto [sum, squares] = define<LineReduction>(b, p, line(line_lanes(p.extents[0], b.lanes)));
    const LoopSchedule loops =
        schedule_output(p.out, p.vars, out, b.lanes, {.cost = k_cost, .interleave = false});
    sum.schedule(p.out, loops, true);
    squares.schedule(p.out, loops, true);
    p.inverse.compute_at(p.out, loops.line);
  } else if (along || written || write < 0) {
    auto [sum, squares] = define<LineReduction>(b, p, line(b.lanes));
    schedule_output(p.out, p.vars, out, b.lanes, {.cost = k_cost});
    sum.schedule_once();
    squares.schedule_once();
    p.inverse.compute_root().store_in(Halide::MemoryType::Register);
  } else {
    auto [sum, squares] =
        define<ColumnReduction>(b, p, [&](const std::string& name, const ReducedValue& value) {
          return ColumnReduction(name, Reduction::sum, p.kept, p.extents, value);
        });
    LoopSchedule loops = schedule_output(
        p.out, p.vars, out, b.lanes, {.cost = k_cost, .interleave = false, .inside = p.reduced});
    // As an axis of those kept.
    const auto& axes = std::get<Normalize>(b.spec.op).axes;
    loops.axis -= static_cast<int>(
        std::count_if(axes.begin(), axes.end(), [&](int axis) { return axis < loops.axis; }));
    sum.schedule(p.out, loops);
    squares.schedule(p.out, loops);
    p.inverse.compute_at(p.out, loops.anchor);
    schedule_inside(p.inverse, p.kept, loops);
  }
  return p.out;
}

}  // namespace

AlgorithmRow normalize_row() {
  AlgorithmRow row;
  row.algorithm.name = "normalize";
  row.algorithm.sentence = "mean and variance over axes, lines or columns in vectors";
  row.algorithm.applies = takes<Normalize>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_nothing;
  row.algorithm.error_bound = 1e-5;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_normalize); };
  return row;
}

}  // namespace emulsion
