// Finds convolutions among a Halide pipeline's Funcs and lifts them to loop nests: one update that
// sums, over a reduction domain, the products of a weight and an input whose indices are affine.
// It reads Halide's internal representation, as plugin.cpp does, and nothing else of ours does.
#pragma once

#include <Halide.h>

#include <map>
#include <string>
#include <vector>

#include "nest/nest.h"

namespace emulsion {

struct RecognisedConv {
  Nest nest;               // unscheduled
  bool depthwise = false;  // groups = ci = co: channels are the nest's g
  // Weights are stored in whole blocks of so many output channels, padded; 0: not in blocks.
  int64_t channel_block = 0;
  // The variable of each of the nest's iterators that has one.
  std::map<std::string, Halide::Var> vars;
  std::map<std::string, Halide::RVar> reduction_vars;
};

// extents: of the Func's pure variables, in order. The error says what is not a conv's about it.
Result<RecognisedConv> recognise_conv(const Halide::Internal::Function& function,
                                      const std::vector<int64_t>& extents);

}  // namespace emulsion
