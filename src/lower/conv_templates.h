// Schedules of convs from a few integers, in text form, best guess first. No Halide.
#pragma once

#include <string>
#include <vector>

#include "lower/machine.h"
#include "nest/nest.h"

namespace emulsion {

// Which loop lies where around a tile. What is inside is read again for each iteration of what is
// outside.
enum class TileOrder {
  channels_rows_pixels,  // co y x: the weights of a tile of channels are read once from afar
  rows_channels_pixels,  // y co x: a row of inputs is used for all channels
  rows_pixels_channels,  // y x co: a tile's inputs are used for all channels
};

// The integers of a conv's template: sums of `vectors` vectors of channels by y by x pixels stay in
// registers.
struct ConvTile {
  int lanes = 1;      // channels in a vector
  int vectors = 1;    // of channels
  int y = 1, x = 1;   // pixels
  int unroll_ci = 1;  // input channels a step
  int unroll_kx = 1;  // 1, or all of kx
  int ci_block = 0;   // input channels between which all taps are visited; 0: all
  TileOrder order = TileOrder::channels_rows_pixels;
};

// The steps of a tile on a conv's unscheduled nest.
std::string conv_steps(const Nest& nest, const ConvTile& tile);
// Alternatives worth measuring (24 at most), default first.
std::vector<std::string> conv_schedules(const Nest& nest, const Machine& machine);

// The same for groups = ci = co, where vectors run over the channels g.
std::vector<std::string> depthwise_schedules(const Nest& nest, const Machine& machine);

}  // namespace emulsion
