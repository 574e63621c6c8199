// The part of a conv that is computed in registers, and what lies around it. No Halide.
#pragma once

#include <cstdint>

namespace emulsion {

// Which loop lies where around a tile. What is inside is read again for each iteration of what is
// outside.
enum class TileOrder {
  channels_rows_pixels,  // co y x: the weights of a tile of channels are read once from afar
  rows_channels_pixels,  // y co x: a row of inputs is used for all channels
  rows_pixels_channels,  // y x co: a tile's inputs are used for all channels
  rows_groups_pixels,    // y g x: the cache lines of a row of inputs are used for all groups
  // co, then ci ky kx (or ci ky, where taps are within) outside y x: a part of the weights is read
  // once for all pixels, whose sums wait in the first level cache
  channels_weights_pixels,
};

// The integers of a conv's template: sums of `vectors` vectors of channels by y by x pixels stay in
// registers.
struct ConvTile {
  int lanes = 1;      // channels in a vector
  int vectors = 1;    // of channels
  int y = 1, x = 1;   // pixels
  int unroll_ci = 1;  // input channels a step
  int unroll_kx = 1;  // 1, or all of kx
  int ci_block = 0;   // input channels between which all taps (and pixels) are visited; 0: all
  TileOrder order = TileOrder::channels_rows_pixels;
  // All taps of a row at each input channel, so that neighbouring pixels' inputs are loaded once.
  bool taps_within = false;
  int co_block = 0;  // output channels of an iteration of the outermost loop over them; 0: all
};

// The narrowest vector that holds all channels, or the widest there is.
int lanes_for(int64_t channels, int vector);

}  // namespace emulsion
