#include "lower/op_funcs.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/divide.h"
#include "lower/activation.h"
#include "lower/buffers.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::FuncRef;
using Halide::ImageParam;
using Halide::Stage;
using Halide::TailStrategy;
using Halide::Var;
using Halide::VarOrRVar;

namespace {

// A thread's share is worth its hand-over from about this many operations (some microseconds).
constexpr double k_task_operations = 1 << 15;

// How many iterations of a loop make a task.
int64_t task_iterations(double operations, int64_t extent) {
  const double each = operations / static_cast<double>(extent);
  return static_cast<int64_t>(std::max(1.0, std::ceil(k_task_operations / each)));
}

// Indices of axes by ascending stride, those of extent 1 last.
std::vector<int> by_stride(const std::vector<int64_t>& extents,
                           const std::vector<int64_t>& strides) {
  std::vector<int> order(extents.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    const bool one_a = extents[a] == 1, one_b = extents[b] == 1;
    return one_a != one_b ? one_b : !one_a && strides[a] < strides[b];
  });
  return order;
}

}  // namespace

Result<LoweredKernel> lower_op(const KernelSpec& spec, Func (*build)(const OpBuilder& b)) {
  TRY(const std::string target, resolve_target(spec.target));
  OpBuilder b{spec, {}, {}, vector_width(target)};
  LoweredKernel kernel;
  kernel.target = Halide::Target(target);
  for (size_t i = 0; i < spec.inputs.size(); ++i)
    b.inputs.push_back(input_buffer(fmt::format("in{}", i), spec.inputs[i]));
  const std::vector<PackedConstant> packed = pack_constants(spec, spec.op);
  for (size_t i = 0; i < packed.size(); ++i)
    b.constants.push_back(
        constant_buffer(fmt::format("constant{}", i), packed[i].extents, packed[i].type));
  for (const ImageParam& p : b.inputs) kernel.arguments.push_back(p);
  for (const ImageParam& p : b.constants) kernel.arguments.push_back(p);
  kernel.output = build(b);
  bind_output(kernel.output, spec.output);
  return kernel;
}

bool takes_descriptors(const KernelSpec& spec, std::string* reason) {
  const auto blocked = [](const TensorDescriptor& d) { return d.channel_block != 0; };
  if (blocked(spec.output) || std::any_of(spec.inputs.begin(), spec.inputs.end(), blocked)) {
    *reason = "a tensor is stored in blocks of channels";
    return false;
  }
  return true;
}

void append_packed(std::vector<PackedConstant>& packed, const Constant& constant) {
  if (!constant) return;
  PackedConstant p{{constant->shape.rbegin(), constant->shape.rend()}, constant->data};
  if (p.extents.empty()) p.extents = {1};
  packed.push_back(std::move(p));
}

Vars axis_vars(size_t rank) {
  if (rank == 4) return {Var("n"), Var("c"), Var("y"), Var("x")};
  Vars vars;
  for (size_t i = 0; i < rank; ++i) vars.emplace_back(fmt::format("d{}", i));
  return vars;
}

Indices as_indices(const Vars& vars) {
  return {vars.begin(), vars.end()};
}

Expr at(const ImageParam& image, const Indices& index) {
  return image(buffer_order(index));
}

FuncRef at_out(Func& f, const Indices& index) {
  return f(buffer_order(index));
}

Expr at_channel(const ImageParam& constant, const Indices& index) {
  return constant(index.size() < 2 ? Expr(0) : index[1]);
}

Expr slope_at(const OpBuilder& b, const std::optional<Activation>& activation,
              const Indices& index) {
  const Constant slope = slope_of(activation);
  if (!slope) return Expr();
  const ImageParam& packed = b.constants.back();
  return element_count(slope->shape) == 1 ? packed(0) : at_channel(packed, index);
}

int contiguous_axis(const TensorDescriptor& d) {
  if (d.shape.empty()) return -1;
  const int axis = by_stride(d.shape, d.strides).front();
  return d.shape[axis] == 1 ? -1 : axis;
}

void schedule_parallel(Stage& stage, const std::vector<LoopAxis>& outer, double operations) {
  if (outer.empty()) return;
  VarOrRVar loop = outer.back().var;
  if (loop.is_rvar) return;
  int64_t extent = outer.back().extent;
  // Two loops are fused where the outermost alone is too short to balance.
  if (extent < 8 && outer.size() > 1 && !outer[outer.size() - 2].var.is_rvar) {
    const LoopAxis& next = outer[outer.size() - 2];
    const Var fused("fused");
    stage.fuse(next.var, loop, fused);
    loop = fused;
    extent *= next.extent;
  }
  if (extent < 2) return;
  const int64_t rows = task_iterations(operations, extent);
  if (rows >= extent) return;
  if (rows > 1) {
    const Var task("task"), row("row");
    stage.split(loop, task, row, static_cast<int>(rows), TailStrategy::GuardWithIf);
    stage.parallel(task);
  } else {
    stage.parallel(loop);
  }
}

LoopSchedule schedule_loops(Stage stage, const std::vector<LoopAxis>& axes, int lanes,
                            const LoopOptions& options) {
  std::vector<int64_t> extents, strides;
  double operations = options.cost;
  for (const LoopAxis& axis : axes) {
    extents.push_back(axis.extent);
    strides.push_back(axis.stride);
    operations *= static_cast<double>(axis.extent);
  }
  std::vector<int> order = by_stride(extents, strides);
  std::vector<int> inside;
  for (const int axis : order) {
    if (std::count(options.inside.begin(), options.inside.end(), axis) > 0) inside.push_back(axis);
  }
  std::erase_if(order,
                [&](int axis) { return std::count(inside.begin(), inside.end(), axis) > 0; });
  LoopSchedule result;
  if (order.empty() || extents[order[0]] == 1) return result;

  const int smallest = order[0];
  if (options.pure && options.interleave && order.size() > 1 && strides[smallest] == 1 &&
      extents[smallest] <= 4 && extents[order[1]] >= 8) {
    result.unrolled = smallest;
    order.erase(order.begin());
  }
  result.axis = order[0];
  const int64_t extent = extents[result.axis];
  result.lanes = static_cast<int>(std::min<int64_t>(lanes, extent));
  int vectors = options.vectors;
  while (vectors > 1 && extent % (static_cast<int64_t>(vectors) * result.lanes) != 0) --vectors;

  std::vector<VarOrRVar> loops;
  std::vector<LoopAxis> outer;
  for (const int axis : inside) loops.push_back(axes[axis].var);
  if (result.unrolled >= 0) loops.push_back(axes[result.unrolled].var);
  for (const int i : order) {
    loops.push_back(axes[i].var);
    if (i != result.axis && extents[i] > 1) outer.push_back(axes[i]);
  }
  if (loops.size() > 1) stage.reorder(loops);
  // Where an expression treats the ends of a loop apart, that pays in the innermost loop only.
  for (size_t i = 2; i < order.size(); ++i)
    stage.partition(axes[order[i]].var, Halide::Partition::Never);

  const TailStrategy tail = options.pure ? TailStrategy::ShiftInwards : TailStrategy::GuardWithIf;
  const VarOrRVar vectorised = axes[result.axis].var;
  if (vectorised.is_rvar) {
    // Nothing is computed inside a loop over an RVar here, so its block needs no anchor.
    stage.vectorize(vectorised.rvar, result.lanes, tail);
  } else {
    const Var block("block"), lane("lane");
    stage.split(vectorised.var, result.anchor, block, result.lanes * vectors, tail);
    stage.split(block, block, lane, result.lanes).vectorize(lane).unroll(block);
    const int64_t blocks = divide_up(extent, result.lanes * vectors);
    int64_t share = blocks;
    if (outer.empty() && options.vectors > 1)
      share = std::min(blocks, task_iterations(operations, blocks));
    stage.split(result.anchor, result.line, result.anchor, static_cast<int>(share),
                TailStrategy::GuardWithIf);
    if (share < blocks) stage.parallel(result.line);
  }
  if (result.unrolled >= 0) stage.unroll(axes[result.unrolled].var);
  schedule_parallel(stage, outer, operations);
  return result;
}

LoopSchedule schedule_output(Func& f, const Vars& vars, const TensorDescriptor& d, int lanes,
                             const LoopOptions& options) {
  std::vector<LoopAxis> axes;
  for (size_t i = 0; i < vars.size(); ++i) {
    axes.push_back({vars[i], d.shape[i], d.strides[i]});
    f.bound(vars[i], 0, static_cast<int>(d.shape[i]));
  }
  return schedule_loops(f, axes, lanes, options);
}

void schedule_inside(Stage stage, const Vars& vars, const LoopSchedule& outer,
                     const Halide::RDom& reduction) {
  EMULSION_CHECK(outer.axis >= 0 && outer.unrolled < 0);
  const Var& v = vars[outer.axis];
  const Var lane("lane");
  stage.split(v, v, lane, outer.lanes);
  if (reduction.defined()) {
    std::vector<VarOrRVar> loops = {lane, v};
    for (int i = 0; i < reduction.dimensions(); ++i) loops.emplace_back(reduction[i]);
    stage.reorder(loops);
  }
  stage.vectorize(lane).unroll(v);
}

}  // namespace emulsion
