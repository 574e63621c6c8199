// A schedule of a Winograd conv, checked and taken apart, and its weights as its kernel reads them.
// Plain C++, no Halide.
//
// A schedule is one of the products' nest: y runs over the places p, x over the tiles. Its loops
// outside y are blocks: the inputs of a block of x are transformed once (by each thread for itself,
// where blocks of co are parallel), and the products of a block are on the stack until the outputs
// are made of them. A block is whole rows of tiles.
#pragma once

#include <string>
#include <vector>

#include "lower/algorithm.h"
#include "lower/schedule.h"

namespace emulsion {

// On either side of a tile of outputs x outputs: as many as its products.
int64_t inputs_of_a_tile(int outputs, int stride);

// The nest of the products of a conv's nest: y = places, x = tiles.
Nest products_nest(const Nest& nest, int outputs);

// A schedule taken apart: blocks, and the products' loops within a block.
struct WinogradSchedule {
  std::vector<Loop> blocks;       // outermost first
  ConvSchedule products;          // from y on
  int64_t channels = 0;           // output channels of a block, a multiple of the products' tile
  int64_t columns = 0, rows = 0;  // tiles of a block: whole rows of the image's
  int64_t bands = 0;              // blocks of the image
};

Result<WinogradSchedule> winograd_schedule(const Nest& conv, int outputs, const std::string& text);

// Weights in the order in which they are read: (co of a register tile, ci, register tile of a
// block, place, block, g). Then the other constants, as pack_channel_constants makes them.
std::vector<PackedConstant> pack_winograd(const Conv& conv, const WinogradSchedule& schedule,
                                          int outputs);

}  // namespace emulsion
