// A chain of convs computed by one kernel, some rows of the last conv's output at a time: what lies
// between them stays in scratch. No Halide.
//
// The rows of an image fall into bands (one, or one and more a thread). Within a band the kernel
// goes down row by row; a conv before the last one computes, for each step, the rows that its
// reader has not seen yet, and scratch holds the few rows above that the reader's taps still reach.
// Only at the start of a band are rows computed that another band computes as well.
//
// A chain's schedule is that of each of its convs, in order, with " | " between them. Those before
// the last one are schedules of one step's rows. The last one's is of its whole output: loops of y
// lie outside x and the channels, the last of them goes from step to step, those outside it are the
// bands. x and channels then make a step's tiles as in any conv.
#pragma once

#include <string>
#include <vector>

#include "lower/algorithm.h"
#include "lower/machine.h"
#include "lower/schedule.h"

namespace emulsion {

// Scratch of a thread lies on the stack, in bytes at most.
inline constexpr int64_t k_most_chain_scratch = 1 << 20;

// Rows and columns, from the first of the image (0) on.
struct ChainRegion {
  int64_t y = 0, x = 0, rows = 0, columns = 0;
};

// One conv of a chain.
struct ChainStage {
  const Conv* conv = nullptr;
  bool depthwise = false;
  Shape input, output;  // the whole images
  ChainRegion needed;   // of its output: what the next one's taps reach in all, padding included
  int64_t rows_a_step = 0;  // that are new in a step
  int64_t rows_held = 0;    // that the next one reads in a step
  Nest nest;                // of a step; of the whole output for the last one

  bool slides() const { return rows_held > rows_a_step; }
  // Rows that its scratch has room for.
  int64_t rows_stored() const;
  int64_t scratch_bytes() const;
};

// The stages of a chain on this input, when a step makes so many rows of the last one. The convs
// must fit (chain_shapes).
std::vector<ChainStage> chain_stages(const ConvChain& chain, const Shape& input, int64_t rows);

// The part around the chain's input that its taps reach: zeros that its descriptor must have.
Pad4 chain_rim(const ConvChain& chain);

// Whether convs of these kinds can be computed as a chain, whatever their memory; else why not.
bool takes_chain(const ConvChain& chain, const Shape& input, std::string* reason);

// A chain's schedule taken apart.
struct ChainSchedule {
  std::vector<ChainStage> stages;
  std::vector<ConvSchedule> schedules;  // one a stage
  std::string row_loop;                 // of the last one: goes from step to step
  std::string band_loop;                // directly outside it; "" when there is none

  const ConvSchedule& last() const { return schedules.back(); }
};
Result<ChainSchedule> chain_schedule(const ConvChain& chain, const Shape& input,
                                     const std::string& text);

// A chain's schedule from its convs' and back.
std::string join_schedules(const std::vector<std::string>& schedules);
std::vector<std::string> split_schedules(const std::string& text);

// Alternatives worth measuring, default first, with the cycles of the busiest of so many threads.
// Empty if no template's scratch is small enough.
std::vector<CostedSchedule> chain_schedules(const ConvChain& chain, const Shape& input,
                                            const Machine& machine, int threads);

}  // namespace emulsion
