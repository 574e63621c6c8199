// A conv as three Halide Funcs, and the one function that schedules them from a transformed nest.
// Used by the conv algorithms here, and through schedule_conv by generators and the autoscheduler
// with Funcs of their own.
#pragma once

#include <Halide.h>

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "lower/conv_parameters.h"
#include "lower/schedule.h"

namespace emulsion {

struct ConvFuncs {
  Halide::Func prologue;  // undefined when there is none; dimensions (c, x, y, n)
  Halide::Func conv;      // initialised, then one update that sums
  Halide::Func out;       // reads conv at its own indices
  // The variable that runs over a nest's iterator. One that is missing has extent 1.
  std::map<std::string, Halide::Var> conv_vars, out_vars;
  std::map<std::string, Halide::RVar> reduction_vars;
  // Channel tiles read weights padded to whole tiles, and only the stores of the last one are
  // guarded. Otherwise the last tile overlaps the one before it.
  bool channels_padded = true;
  int64_t packed = 1;                       // groups of the conv in each of the nest's
  std::vector<Halide::Argument> arguments;  // inputs, then packed constants
};

// The Funcs of a conv, for tiles of this schedule (the weights' blocks are the tile's channels).
// The nest's vector iterator is co. Weight blocks are as pack_conv makes them.
ConvFuncs build_conv_funcs(const Conv& conv, const ConvView& view, const ConvSchedule& schedule);
// groups = ci = co: one variable runs over the channels, the nest's g.
ConvFuncs build_depthwise_funcs(const Conv& conv, const ConvView& view);

// What a conv that is a part of a kernel reads and where its values count.
struct ConvPart {
  using Expr = Halide::Expr;
  // The input at (c, x, y, n); null: the kernel's first input.
  std::function<Expr(const Expr& c, const Expr& x, const Expr& y, const Expr& n)> in;
  // Where (x, y) its output is not zero whatever the sums; undefined or null: everywhere.
  std::function<Expr(const Expr& x, const Expr& y)> inside;
};
// The same for a part: constants are the next ones of the kernel's, and its output is no buffer.
ConvFuncs build_conv_part(const Conv& conv, const ConvView& view, const ConvSchedule& schedule,
                          ConvParameters& parameters, const ConvPart& part);
ConvFuncs build_depthwise_part(const Conv& conv, const ConvView& view, ConvParameters& parameters,
                               const ConvPart& part);

// Applies a schedule to Funcs whose loops are the schedule's nest. Returns the variables of the
// output's loops, by the loops' names.
std::map<std::string, Halide::VarOrRVar> schedule_conv(ConvFuncs& funcs,
                                                       const ConvSchedule& schedule,
                                                       const Halide::Target& target);

}  // namespace emulsion
