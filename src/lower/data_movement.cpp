// Copy, Literal, Concat, Slice, Pad, Reshape, Transpose and Resize: every output element is an
// input element. Each is a map from output to input indices; move() makes a Func of it.
#include <algorithm>
#include <numeric>

#include "base/divide.h"
#include "lower/op_funcs.h"

namespace emulsion {

using Halide::clamp;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::TailStrategy;
using Halide::Var;

namespace {

constexpr LoopOptions k_moving{.cost = 2, .vectors = 4};

// Elements a side of a block that is read along one axis and written along another.
constexpr int k_block = 8;

// out[axes] = in[...] where the input is contiguous along another output axis than the output is:
// square blocks read in vectors along the one, kept in registers or on the stack, and written in
// vectors along the other.
Func transposed(const OpBuilder& b, const Vars& vars, const Expr& value, int write, int read) {
  const TensorDescriptor& d = b.output();
  const Indices index = as_indices(vars);
  Func block("block"), out("out");
  at_out(block, index) = value;
  at_out(out, index) = at_out(block, index);
  std::vector<LoopAxis> outer;
  std::vector<int> others;
  for (size_t i = 0; i < vars.size(); ++i) {
    out.bound(vars[i], 0, static_cast<int>(d.shape[i]));
    if (static_cast<int>(i) != write && static_cast<int>(i) != read)
      others.push_back(static_cast<int>(i));
  }
  std::stable_sort(others.begin(), others.end(),
                   [&](int a, int c) { return d.strides[a] < d.strides[c]; });
  const Var write_inner("write_inner"), read_inner("read_inner");
  out.split(vars[write], vars[write], write_inner, k_block, TailStrategy::ShiftInwards);
  out.split(vars[read], vars[read], read_inner, k_block, TailStrategy::ShiftInwards);
  std::vector<Halide::VarOrRVar> loops = {write_inner, read_inner, vars[write], vars[read]};
  outer.push_back({vars[read], divide_up(d.shape[read], k_block), d.strides[read]});
  for (const int i : others) {
    loops.push_back(vars[i]);
    if (d.shape[i] > 1) outer.push_back({vars[i], d.shape[i], d.strides[i]});
  }
  out.reorder(loops).vectorize(write_inner).unroll(read_inner);
  Halide::Stage stage = out;
  schedule_parallel(stage, outer, k_moving.cost * static_cast<double>(element_count(d.shape)));
  block.compute_at(out, vars[write]).store_in(Halide::MemoryType::Stack);
  std::vector<Var> storage = {vars[read], vars[write]};
  for (const int i : others) storage.push_back(vars[i]);
  block.reorder_storage(storage).reorder(vars[read], vars[write]);
  block.vectorize(vars[read]).unroll(vars[write]);
  return out;
}

// The Func of value, an expression of vars that reads one input element. reads_along: the output
// axis along which the input is contiguous, -1 where there is none or it is unknown.
Func move(const OpBuilder& b, const Vars& vars, const Expr& value, int reads_along = -1) {
  const TensorDescriptor& d = b.output();
  const int writes_along = contiguous_axis(d);
  if (reads_along >= 0 && reads_along != writes_along && d.strides[writes_along] == 1 &&
      d.shape[writes_along] >= k_block && d.shape[reads_along] >= k_block) {
    return transposed(b, vars, value, writes_along, reads_along);
  }
  Func out("out");
  at_out(out, as_indices(vars)) = value;
  schedule_output(out, vars, d, b.lanes, k_moving);
  return out;
}

Func build_copy(const OpBuilder& b) {
  const Vars vars = axis_vars(b.output().shape.size());
  return move(b, vars, at(b.inputs[0], as_indices(vars)), contiguous_axis(b.input()));
}

Func build_literal(const OpBuilder& b) {
  const Vars vars = axis_vars(b.output().shape.size());
  if (vars.empty()) return move(b, vars, b.constants[0](0));
  return move(b, vars, at(b.constants[0], as_indices(vars)));
}

Func build_slice(const OpBuilder& b) {
  const auto& op = std::get<Slice>(b.spec.op);
  const Vars vars = axis_vars(b.output().shape.size());
  Indices source;
  for (size_t i = 0; i < vars.size(); ++i)
    source.push_back(vars[i] * static_cast<int>(op.steps[i]) + static_cast<int>(op.starts[i]));
  const int along = contiguous_axis(b.input());
  return move(b, vars, at(b.inputs[0], source), along >= 0 && op.steps[along] == 1 ? along : -1);
}

Func build_transpose(const OpBuilder& b) {
  const auto& op = std::get<Transpose>(b.spec.op);
  const Vars vars = axis_vars(b.output().shape.size());
  Indices source(vars.size());
  const int contiguous = contiguous_axis(b.input());
  int along = -1;
  for (size_t i = 0; i < vars.size(); ++i) {
    source[op.permutation[i]] = vars[i];
    if (op.permutation[i] == contiguous) along = static_cast<int>(i);
  }
  return move(b, vars, at(b.inputs[0], source), along);
}

// Elements of the axes of a shape from `first` to `last` that follow row-major index `linear`.
void append_unravelled(Indices& index, const Shape& shape, size_t first, size_t last,
                       const Expr& linear) {
  int64_t stride = 1;
  Indices reversed;
  for (size_t axis = last; axis-- > first;) {
    const Expr place = linear / static_cast<int>(stride);
    reversed.push_back(axis == first ? place : place % static_cast<int>(shape[axis]));
    stride *= shape[axis];
  }
  index.insert(index.end(), reversed.rbegin(), reversed.rend());
}

// Both shapes are cut into the shortest runs of axes with equal numbers of elements, so that an
// index is only taken apart where the shapes differ.
Func build_reshape(const OpBuilder& b) {
  const Shape &from = b.input().shape, &to = b.output().shape;
  const Vars vars = axis_vars(to.size());
  Indices source;
  size_t i = 0, j = 0;
  while (i < from.size() || j < to.size()) {
    const size_t first_i = i, first_j = j;
    int64_t have = i < from.size() ? from[i++] : 1, want = j < to.size() ? to[j++] : 1;
    while (have != want) {
      if (have < want) {
        have *= from[i++];
      } else {
        want *= to[j++];
      }
    }
    Expr linear = 0;
    for (size_t k = first_j; k < j; ++k) linear = linear * static_cast<int>(to[k]) + vars[k];
    append_unravelled(source, from, first_i, i, linear);
  }
  return move(b, vars, at(b.inputs[0], source));
}

Func build_concat(const OpBuilder& b) {
  const int axis = std::get<Concat>(b.spec.op).axis;
  const TensorDescriptor& d = b.output();
  const Vars vars = axis_vars(d.shape.size());
  Func out("out");
  at_out(out, as_indices(vars)) = Halide::undef<float>();
  for (size_t i = 0; i < vars.size(); ++i) out.bound(vars[i], 0, static_cast<int>(d.shape[i]));
  // One stage an input, which writes its part alone.
  int64_t offset = 0;
  for (size_t i = 0; i < b.inputs.size(); ++i) {
    const int64_t extent = b.input(static_cast<int>(i)).shape[axis];
    const RDom r(0, static_cast<int>(extent));
    Indices source = as_indices(vars), target = source;
    source[axis] = r.x;
    target[axis] = r.x + static_cast<int>(offset);
    at_out(out, target) = at(b.inputs[i], source);
    std::vector<LoopAxis> axes;
    for (size_t k = 0; k < vars.size(); ++k) {
      if (static_cast<int>(k) == axis) {
        axes.push_back({r.x, extent, d.strides[k]});
      } else {
        axes.push_back({vars[k], d.shape[k], d.strides[k]});
      }
    }
    schedule_loops(out.update(static_cast<int>(i)), axes, b.lanes, {.cost = 2, .pure = false});
    offset += extent;
  }
  return out;
}

// Where output place o of a padded or cropped axis reads.
Expr padded_source(Pad::Mode mode, const Expr& o, int before, int extent) {
  const Expr place = o - before;
  const int last = extent - 1;
  if (mode == Pad::Mode::edge) return clamp(Halide::likely(place), 0, last);
  // Reflected at the first element, then at the last; a pad is shorter than the axis.
  const auto distance = [](const Expr& e) { return Halide::max(e, -e); };
  return clamp(last - distance(last - distance(place)), 0, last);
}

// The constant everywhere, then the input over it.
Func build_constant_pad(const OpBuilder& b, const Pad& op) {
  const TensorDescriptor &in = b.input(), &d = b.output();
  const Vars vars = axis_vars(d.shape.size());
  // Where the input goes, of the axes that it does not fill.
  Halide::Region region;
  std::vector<int> padded;
  bool cropped_away = false;
  for (size_t i = 0; i < vars.size(); ++i) {
    const int64_t low = std::max<int64_t>(op.before[i], 0);
    const int64_t high = std::min(d.shape[i], op.before[i] + in.shape[i]);
    cropped_away |= high <= low;
    if (low == 0 && high == d.shape[i]) continue;
    region.emplace_back(static_cast<int>(low), static_cast<int>(high - low));
    padded.push_back(static_cast<int>(i));
  }
  const auto source = [&](Indices index) {
    for (size_t i = 0; i < index.size(); ++i) index[i] = index[i] - static_cast<int>(op.before[i]);
    return at(b.inputs[0], index);
  };
  if (padded.empty()) return move(b, vars, source(as_indices(vars)), contiguous_axis(in));

  Func out("out");
  at_out(out, as_indices(vars)) = op.value;
  schedule_output(out, vars, d, b.lanes, {.cost = 1, .vectors = 4, .interleave = false});
  if (cropped_away) return out;
  Indices target = as_indices(vars);
  std::vector<LoopAxis> axes;
  for (size_t i = 0; i < vars.size(); ++i) axes.push_back({vars[i], d.shape[i], d.strides[i]});
  const RDom r(region);
  for (size_t k = 0; k < padded.size(); ++k) {
    const int dimension = static_cast<int>(k);
    target[padded[k]] = r[dimension];
    axes[padded[k]].var = r[dimension];
    axes[padded[k]].extent = *Halide::Internal::as_const_int(region[k].extent);
  }
  at_out(out, target) = source(target);
  schedule_loops(out.update(), axes, b.lanes, {.cost = 2, .pure = false});
  return out;
}

Func build_pad(const OpBuilder& b) {
  const auto& op = std::get<Pad>(b.spec.op);
  if (op.mode == Pad::Mode::constant) return build_constant_pad(b, op);
  const Vars vars = axis_vars(b.output().shape.size());
  Indices source;
  for (size_t i = 0; i < vars.size(); ++i) {
    const bool changed = op.before[i] != 0 || op.after[i] != 0;
    source.push_back(changed ? padded_source(op.mode, vars[i], static_cast<int>(op.before[i]),
                                             static_cast<int>(b.input().shape[i]))
                             : Expr(vars[i]));
  }
  return move(b, vars, at(b.inputs[0], source));
}

// Whether index[i] == i * extent / index.size(): a plain enlargement or reduction needs no table.
bool is_scaling(const std::vector<int>& index, int64_t extent) {
  const auto size = static_cast<int64_t>(index.size());
  for (int64_t i = 0; i < size; ++i)
    if (index[i] != i * extent / size) return false;
  return true;
}

Func build_resize(const OpBuilder& b) {
  const auto& op = std::get<Resize>(b.spec.op);
  const Vars vars = axis_vars(4);
  Indices source = as_indices(vars);
  size_t table = 0;
  for (const int axis : {2, 3}) {
    const std::vector<int>& index = axis == 2 ? op.rows : op.columns;
    const auto extent = static_cast<int>(b.input().shape[axis]);
    if (is_scaling(index, extent)) {
      const int size = static_cast<int>(index.size()), common = std::gcd(size, extent);
      source[axis] = vars[axis] * (extent / common) / (size / common);
    } else {
      const Expr entry = b.constants[table++](vars[axis]);
      source[axis] = clamp(Halide::cast<int>(entry), 0, extent - 1);
    }
  }
  return move(b, vars, at(b.inputs[0], source));
}

Func build_move(const OpBuilder& b) {
  return std::visit(overloaded{[&](const Copy&) { return build_copy(b); },
                               [&](const Literal&) { return build_literal(b); },
                               [&](const Concat&) { return build_concat(b); },
                               [&](const Slice&) { return build_slice(b); },
                               [&](const Pad&) { return build_pad(b); },
                               [&](const Reshape&) { return build_reshape(b); },
                               [&](const Transpose&) { return build_transpose(b); },
                               [&](const Resize&) { return build_resize(b); },
                               [&](const auto&) -> Func { EMULSION_CHECK(false); }},
                    b.spec.op);
}

// A literal in the order of its buffer's dimensions: channels innermost for images.
PackedConstant pack_literal(const Tensor& value) {
  PackedConstant packed;
  std::vector<int> extents(value.shape.begin(), value.shape.end());
  packed.extents = buffer_order(extents);
  if (extents.empty()) packed.extents = {1};
  packed.data = value.data;
  if (extents.size() == 4 && !value.abstract()) {
    const int64_t plane = value.shape[2] * value.shape[3], channels = value.shape[1];
    for (size_t i = 0; i < packed.data.size(); ++i) {
      const auto at = static_cast<int64_t>(i);
      const int64_t c = at / plane % channels, n = at / (plane * channels);
      packed.data[(n * plane + at % plane) * channels + c] = value.data[i];
    }
  }
  return packed;
}

std::vector<PackedConstant> pack_move(const KernelSpec& spec, const Op& op) {
  std::vector<PackedConstant> packed;
  if (const auto* literal = std::get_if<Literal>(&op))
    packed.push_back(pack_literal(*literal->value));
  if (const auto* resize = std::get_if<Resize>(&op)) {
    for (const int axis : {2, 3}) {
      const std::vector<int>& index = axis == 2 ? resize->rows : resize->columns;
      if (is_scaling(index, spec.inputs[0].shape[axis])) continue;
      packed.push_back({{static_cast<int>(index.size())}, {index.begin(), index.end()}});
    }
  }
  return packed;
}

}  // namespace

AlgorithmRow move_row() {
  AlgorithmRow row;
  row.algorithm.name = "move";
  row.algorithm.sentence = "elements moved as they are: copy, concat, slice, pad, reshape, ...";
  row.algorithm.applies = takes<Copy, Literal, Concat, Slice, Pad, Reshape, Transpose, Resize>;
  row.algorithm.best_guess = no_schedule;
  row.algorithm.schedules = no_schedules;
  row.algorithm.pack = pack_move;
  row.algorithm.error_bound = 0;
  row.lower = [](const KernelSpec& spec) { return lower_op(spec, build_move); };
  return row;
}

}  // namespace emulsion
