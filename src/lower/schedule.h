// A schedule of a conv, checked and taken apart: no Halide here. schedule_conv (conv_funcs.h) turns
// it into directives.
//
// Loops outside the first reduction are the output's loops. One iteration of them computes one
// tile: the sums of the tile are initialised, the loops from the first reduction on add to them,
// and the epilogue stores them.
#pragma once

#include <string>
#include <vector>

#include "nest/nest.h"

namespace emulsion {

// Beyond this a kernel's code grows out of proportion: copies of its innermost statement.
inline constexpr int64_t k_most_unrolled = 512;

struct ConvSchedule {
  Nest nest;                    // transformed
  std::vector<Loop> outer;      // outside every reduction, outermost first
  std::vector<Loop> inner;      // the first reduction and all within it, outermost first
  bool channels_padded = true;  // as in the rules that it was checked by

  // Iterations of an iterator within one tile (its inner loops' extents multiplied).
  int64_t tile(const std::string& iterator) const;
  // The reduction loops, innermost first: the order in which weights are read.
  std::vector<Loop> reductions() const;
};

// Which arrays may be read in vectors decides which loop may be vectorized.
struct ScheduleRules {
  std::string vector_iterator = "co";
  bool channels_padded = true;  // a channel tile may exceed the channels
};

// The schedule that a text makes of a nest, or why it is none.
Result<ConvSchedule> conv_schedule(const Nest& nest, const std::string& steps,
                                   const ScheduleRules& rules);
Result<ConvSchedule> conv_schedule(const Nest& transformed, const ScheduleRules& rules);

// Where a conv's prologue is computed: its values are kept for one iteration of outer[level], and
// of the loops outside that; or nowhere, then it is computed where it is read.
struct KeptPrologue {
  size_t level = 0;
  int64_t values = 0;  // kept at a time; 0: none, they would take too much of the stack
};
// packed: groups of the conv in each of the nest's.
KeptPrologue kept_prologue(const ConvSchedule& schedule, int64_t packed = 1);
// Values that the busiest of so many threads computes.
double prologue_values(const ConvSchedule& schedule, int64_t packed, int threads);

// Whether elements of the output are computed twice: where tiles do not divide its iterations
// evenly, the last one is shifted inwards, over the one before it. Padded channels are not.
bool tiles_overlap(const ConvSchedule& schedule);

// The loops of one iterator, innermost part first.
std::vector<Loop> parts(const std::vector<Loop>& loops, const std::string& iterator);

}  // namespace emulsion
