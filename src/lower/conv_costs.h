// Cycles that convs are expected to take by the templates of conv_templates.h on the target's core
// (machine.h). The constants are measured. No Halide.
#pragma once

#include "lower/conv_tile.h"
#include "lower/machine.h"
#include "nest/nest.h"

namespace emulsion {

// Of a group, and of all of a conv's input.
int64_t weight_bytes(const Nest& nest, const Machine& machine);
int64_t input_bytes(const Nest& nest);

// Rows times columns that a tile reads of one input channel, at all taps.
int64_t read_pixels(const Nest& nest, const ConvTile& tile);

// Input columns that a tile's pixels read in a row, at all taps of it.
struct Columns {
  int64_t read = 0;
  int64_t shared = 0;  // by several taps
};
Columns columns_of(const Nest& nest, const ConvTile& tile);

// Of a schedule that reads a tile's weights anew for each pixel tile. The last tile of channels may
// have fewer vectors.
double expected_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine);
// Of one that reads a part of the weights once for all pixels: fetching the next part overlaps with
// all of that.
double stationary_cycles(const Nest& nest, const ConvTile& tile, const Machine& machine);

// Cycles of computing so many values of a prologue.
double prologue_cycles(double values, const Machine& machine);

// Of memory as processors translate its addresses.
inline constexpr int64_t k_page_bytes = 4096;
// Cycles to start a loop that threads share.
inline constexpr double k_start = 5000;
// So few input channels are unrolled together.
inline constexpr int64_t k_few_channels = 4;
// Loads of single floats a cycle: they never quite reach two.
inline constexpr double k_loads = 1.8;
// Cycles of advancing the sums of so many vectors by a multiply-add: few leave units waiting for
// results.
double sum_cycles(double sums, int lanes, const Machine& machine);
// Cycles of loading a vector for each of so many, and so many single floats.
double load_cycles(double vectors, double floats, int lanes, const Machine& machine);
// Cycles of a step beside a stream of weights from beyond the second level cache that alone takes
// `streaming` cycles. Loads that miss the first
// level cache share its few outstanding misses with the stream; so if the step's other loads do,
// because its weights are read again and again, streaming overlaps with nothing.
double streamed_step(double cycles, double streaming, bool again, const Machine& machine);
// Cycles that converting so many vectors of stored weights takes from the multiplications.
double conversion_cycles(int vectors, const Machine& machine);

}  // namespace emulsion
