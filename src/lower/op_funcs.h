// Scheduled Halide Funcs for the ops that are not convs: what their files share. Private to lower/.
//
// Indices are in ONNX order here; at() and at_out() put them in the order of a buffer's dimensions:
// (c, x, y, n) for rank 4, reversed otherwise. An op's file builds its Func from an OpBuilder,
// schedules it with schedule_output, and returns it; lower_op adds bounds and arguments.
#pragma once

#include <Halide.h>

#include <string>
#include <vector>

#include "lower/algorithm_row.h"
#include "lower/lower.h"

namespace emulsion {

using Indices = std::vector<Halide::Expr>;
using Vars = std::vector<Halide::Var>;

// A kernel's parameters, bound to their descriptors and packed extents, and the target's vector
// width in floats.
struct OpBuilder {
  const KernelSpec& spec;
  std::vector<Halide::ImageParam> inputs;
  std::vector<Halide::ImageParam> constants;
  int lanes = 8;

  const TensorDescriptor& output() const { return spec.output; }
  const TensorDescriptor& input(int i = 0) const { return spec.inputs[i]; }
};

// The kernel whose output is what `build` makes.
Result<LoweredKernel> lower_op(const KernelSpec& spec, Halide::Func (*build)(const OpBuilder& b));

// Rows of the table here are for ops that take no schedule, on any descriptors without channel
// blocks.
bool takes_descriptors(const KernelSpec& spec, std::string* reason);
template <class... Ops>
bool takes(const KernelSpec& spec, std::string* reason) {
  return (std::holds_alternative<Ops>(spec.op) || ...) && takes_descriptors(spec, reason);
}
inline CostedSchedule no_schedule(const KernelSpec&) {
  return {};
}
inline std::vector<std::string> no_schedules(const KernelSpec&) {
  return {""};
}
inline std::vector<PackedConstant> pack_nothing(const KernelSpec&, const Op&) {
  return {};
}

// A constant as it is, innermost dimension first; nothing for null.
void append_packed(std::vector<PackedConstant>& packed, const Constant& constant);

// Puts the entries of an ONNX-ordered list in the order of a buffer's dimensions.
template <class T>
std::vector<T> buffer_order(const std::vector<T>& onnx) {
  if (onnx.size() == 4) return {onnx[1], onnx[3], onnx[2], onnx[0]};
  return std::vector<T>(onnx.rbegin(), onnx.rend());
}

// One loop variable for each axis, in ONNX order.
Vars axis_vars(size_t rank);
Indices as_indices(const Vars& vars);
Halide::Expr at(const Halide::ImageParam& image, const Indices& index);
Halide::FuncRef at_out(Halide::Func& f, const Indices& index);
// The entry of a per-channel constant for an element of a tensor; channels are axis 1.
Halide::Expr at_channel(const Halide::ImageParam& constant, const Indices& index);
// A prelu's slope, the last of the constants, for an element; undefined where there is none.
Halide::Expr slope_at(const OpBuilder& b, const std::optional<Activation>& activation,
                      const Indices& index);

// The axis of extent above 1 with the smallest stride, or -1 when there is only one element.
int contiguous_axis(const TensorDescriptor& d);

// One loop of a stage; extent and stride are the output's along it.
struct LoopAxis {
  Halide::VarOrRVar var;
  int64_t extent = 1;
  int64_t stride = 1;
};

// Where the vectorised loop of a stage went, for what is computed inside it.
struct LoopSchedule {
  int axis = -1;      // of those given; -1: there is one element only
  int lanes = 1;      // in one vector
  int unrolled = -1;  // an axis of 2 to 4 elements unrolled inside the vectorised one, or -1
  Halide::Var anchor{"anchor"};  // the loop around one block of vectors, when axis is not -1
  // The loop around all of the axis, or around a thread's share of it where there is no other loop.
  Halide::Var line{"line"};
};

// How much of a stage's schedule depends on what it computes.
struct LoopOptions {
  double cost = 1;   // operations an element, to tell whether threads pay
  int vectors = 1;   // up to this many vectors unrolled in a block, where they divide the extent
  bool pure = true;  // a pure definition: a ragged end may be computed twice
  bool interleave = true;   // vectorise the second axis where the first has 2 to 4 elements
  std::vector<int> inside;  // axes whose loops go inside the anchor and are not vectorised
};

// The schedule of all ops here. Loops by ascending stride; the axis of the smallest vectorised, or
// the next one where that has 2 to 4 elements (then vectors are interleaved); the outer loops
// parallel where there is work for threads.
LoopSchedule schedule_loops(Halide::Stage stage, const std::vector<LoopAxis>& axes, int lanes,
                            const LoopOptions& options = {});
// Makes the outer ones of these loops (inner first) parallel, in tasks worth a thread's while.
void schedule_parallel(Halide::Stage& stage, const std::vector<LoopAxis>& loops, double operations);
// The same for an output's pure definition.
LoopSchedule schedule_output(Halide::Func& f, const Vars& vars, const TensorDescriptor& d,
                             int lanes, const LoopOptions& options = {});
// Vectorises and unrolls, as its consumer is, a stage that is computed at the consumer's anchor;
// loops of a reduction go around the block of vectors, so that all of it is accumulated at once.
void schedule_inside(Halide::Stage stage, const Vars& vars, const LoopSchedule& outer,
                     const Halide::RDom& reduction = {});

}  // namespace emulsion
