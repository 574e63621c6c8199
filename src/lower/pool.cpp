// Pool: max or average over windows of rows and columns. No inner loop branches: a window's taps
// that lie outside the image are moved onto the nearest tap inside it (max), or read the input's
// zeroed rim or are multiplied away (average); Halide splits the loop over columns so that windows
// inside the image pay for neither.
#include "lower/op_funcs.h"

namespace emulsion {

using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::likely;
using Halide::RDom;

namespace {

// Windows of at most so many taps are written out; larger ones are loops.
constexpr int k_unrolled_taps = 16;

// Windows along one axis (rows or columns).
struct Windows {
  int kernel, stride, dilation, before, after;
  int64_t in, out;
  int rim_before, rim_after;

  Expr start(const Expr& o) const { return o * stride - before; }
  int64_t first() const { return -before; }
  int64_t last() const { return (out - 1) * stride - before + (kernel - 1) * int64_t{dilation}; }
  bool inside_image() const { return first() >= 0 && last() < in; }
  bool inside_rim() const { return first() >= -rim_before && last() < in + rim_after; }

  // The range of taps whose place p has low <= p < high: Halide's division rounds down.
  Expr first_tap(const Expr& o, int64_t low) const {
    return Halide::max(0, (static_cast<int>(low) - start(o) + dilation - 1) / dilation);
  }
  Expr last_tap(const Expr& o, int64_t high) const {
    return Halide::min(kernel - 1, (static_cast<int>(high) - 1 - start(o)) / dilation);
  }
  Expr count(const Expr& o, bool include_pad) const {
    if (inside_image()) return kernel;
    const int64_t low = include_pad ? -before : 0, high = include_pad ? in + after : in;
    return last_tap(o, high) - first_tap(o, low) + 1;
  }

  // The place of tap k, moved to the nearest tap of the window that is inside the image.
  Expr nearest(const Expr& o, const Expr& k) const {
    if (inside_image()) return start(o) + k * dilation;
    if (dilation == 1) return clamp(likely(start(o) + k), 0, static_cast<int>(in) - 1);
    const Expr place = start(o) + clamp(k, first_tap(o, 0), last_tap(o, in)) * dilation;
    return clamp(place, 0, static_cast<int>(in) - 1);  // already so, but Halide cannot tell
  }
};

Func build_pool(const OpBuilder& b) {
  const auto& op = std::get<Pool>(b.spec.op);
  const TensorDescriptor &in = b.input(), &out = b.output();
  const auto windows = [&](int side, int axis) {
    return Windows{op.kernel[side], op.stride[side],  op.dilation[side],
                   op.pad[side],    op.pad[side + 2], in.shape[axis],
                   out.shape[axis], in.rim[side],     in.rim[side + 2]};
  };
  const Windows rows = windows(0, 2), columns = windows(1, 3);
  const bool max = op.kind == Pool::Kind::max;
  const bool in_rim = !max && rows.inside_rim() && columns.inside_rim();

  const auto tap = [&](const Indices& o, const Expr& ky, const Expr& kx) -> Expr {
    const Expr y = rows.start(o[2]) + ky * rows.dilation;
    const Expr x = columns.start(o[3]) + kx * columns.dilation;
    if (in_rim) return at(b.inputs[0], {o[0], o[1], y, x});
    const Expr value =
        at(b.inputs[0], {o[0], o[1], rows.nearest(o[2], ky), columns.nearest(o[3], kx)});
    if (max) return value;
    const auto valid = [](const Windows& w, const Expr& place) -> Expr {
      if (w.inside_image()) return Halide::Internal::const_true();
      return likely(place >= 0) && likely(place < static_cast<int>(w.in));
    };
    return Halide::select(valid(rows, y) && valid(columns, x), value, 0.0f);
  };
  const auto combine = [&](const Expr& a, const Expr& c) {
    return max ? Halide::max(a, c) : a + c;
  };

  const Vars vars = axis_vars(4);
  const Indices index = as_indices(vars);
  const int taps = op.kernel[0] * op.kernel[1];
  LoopOptions options{.cost = static_cast<double>(taps), .vectors = 4};
  Func result("out"), window("window");
  RDom r;
  Expr value;
  if (taps <= k_unrolled_taps) {
    for (int ky = 0; ky < op.kernel[0]; ++ky)
      for (int kx = 0; kx < op.kernel[1]; ++kx)
        value = value.defined() ? combine(value, tap(index, ky, kx)) : tap(index, ky, kx);
  } else {
    r = RDom(0, op.kernel[1], 0, op.kernel[0]);
    options.interleave = false;
    at_out(window, index) = max ? Halide::Float(32).min() : Expr(0.0f);
    at_out(window, index) = combine(at_out(window, index), tap(index, r.y, r.x));
    value = at_out(window, index);
  }
  if (!max) {
    value /= Halide::cast<float>(rows.count(index[2], op.count_include_pad) *
                                 columns.count(index[3], op.count_include_pad));
  }
  at_out(result, index) = value;
  const LoopSchedule loops = schedule_output(result, vars, out, b.lanes, options);
  if (taps > k_unrolled_taps && loops.axis >= 0) {
    window.compute_at(result, loops.anchor);
    schedule_inside(window, vars, loops);
    schedule_inside(window.update(), vars, loops, r);
  }
  return result;
}

}  // namespace

AlgorithmRow pool_row() {
  AlgorithmRow row;
  row.algorithm.name = "pool";
  row.algorithm.sentence = "maximum or average over windows, channels or columns in vectors";
  row.algorithm.applies = takes<Pool>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_nothing;
  row.algorithm.error_bound = 1e-6;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_pool); };
  return row;
}

}  // namespace emulsion
