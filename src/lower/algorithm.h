// The table of algorithms: how a layer can be computed. Each row knows what it applies to, how to
// pack the layer's constants, its default schedule, and its error bound. No Halide in this header;
// lower.h has the Funcs.
#pragma once

#include <string>
#include <vector>

#include "lower/kernel_spec.h"

namespace emulsion {

// A constant as a kernel reads it: extents innermost first, dense. In the weights file constants
// lie one after the other, in the order of calls, each aligned; equal ones lie there once.
struct PackedConstant {
  std::vector<int> extents;
  std::vector<float> data;
  ElementType type = ElementType::f32;  // as it is stored; data are not rounded to it
};
inline constexpr int64_t k_constant_alignment = 64;  // bytes
// What it takes in memory, without alignment.
int64_t byte_count(const PackedConstant& constant);
// What a kernel finds in memory: the data in the constant's type.
std::string stored_bytes(const PackedConstant& constant);

// A schedule and the cycles that it is expected to take on the target's core (machine.h); 0 where
// nobody needs to compare.
struct CostedSchedule {
  double cycles = 0;
  std::string steps;  // in text form; "" if the op takes none
};

struct Algorithm {
  const char* name;      // "direct"
  const char* sentence;  // what it is
  bool (*applies)(const KernelSpec& spec, std::string* reason);
  // The default schedule for the spec's target.
  CostedSchedule (*best_guess)(const KernelSpec& spec);
  // Alternatives worth measuring, default first.
  std::vector<std::string> (*schedules)(const KernelSpec& spec);
  // The op's constants packed in argument order. Abstract constants give extents without data.
  std::vector<PackedConstant> (*pack)(const KernelSpec& spec, const Op& op);
  double error_bound;  // of a layer: largest error over largest output
  // What its error grows by when its first packed constant, the weights, is stored in half
  // precision; 0: it reads f32 only.
  double half_error = 0;
};

// Rows in order of preference; the last rows take every other op. The default for a layer is the
// row, of those that apply and err no more than k_default_error, that is expected to be fastest; of
// equals the first.
inline constexpr double k_default_error = 1e-4;
const std::vector<Algorithm>& algorithms();
const Algorithm* find_algorithm(const std::string& name);

// The spec with algorithm and schedule filled in where empty; an error if the algorithm does not
// apply or the schedule is not one for it.
Result<KernelSpec> completed(KernelSpec spec);

// The same for a conv, whose default is then the first of depthwise, pointwise and direct that
// applies: those whose Funcs conv_funcs.h has, for Halide programmers to schedule.
Result<KernelSpec> completed_in_registers(KernelSpec spec);

// Whether the spec's algorithm (any, where it names none) reads 16-bit weights on its target; else
// why not.
bool takes_half_weights(const KernelSpec& spec, std::string* reason);
// Whether half precision holds the op's weights, and the sums of them that products read.
bool half_holds(const Op& op);

// The largest error to expect of a completed spec: the algorithm's, and that of its weights.
double error_bound(const KernelSpec& spec);

// Whether a completed conv's output may lie in the memory of its residual: every element of the
// output is computed once, from the residual's element at the same place.
bool may_overwrite_residual(const KernelSpec& spec);

// pack of the spec's algorithm; the weights are of the spec's type.
std::vector<PackedConstant> pack_constants(const KernelSpec& spec, const Op& op);
// The same of the spec's own op, without data: packing these takes a while.
std::vector<PackedConstant> constant_shapes(const KernelSpec& spec);

}  // namespace emulsion
