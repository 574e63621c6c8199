// A schedule of a conv that is computed as matrix products of transformed inputs, one at each of
// several places (Winograd's, Strassen's), checked and taken apart. Plain C++, no Halide.
//
// A schedule is one of the products' nest: y runs over the places, x over the tiles. Its loops
// outside y are blocks: the inputs of a block of x are transformed once (by each thread for itself,
// where blocks of co are parallel), and the products of a block are on the stack until the outputs
// are made of them. A block is whole rows of tiles.
#pragma once

#include <string>
#include <vector>

#include "lower/schedule.h"

namespace emulsion {

// The products that a conv's outputs are made of.
struct ProductsShape {
  int64_t places = 1;               // products of a tile
  int64_t columns = 1, rows = 1;    // of tiles in an image
  int64_t ci = 1, co = 1;           // channels of a product, of each group
  int64_t inputs = 1, outputs = 1;  // of a tile, for a channel of a product
};

// Bytes of the transformed inputs and products of one row of tiles and so many output channels.
int64_t scratch_of_a_row(const ProductsShape& shape, int64_t channels);

// The products of a conv's nest: y = places, x = tiles.
Nest products_nest(const Nest& conv, const ProductsShape& shape);

// A schedule taken apart: blocks, and the products' loops within a block.
struct ProductsSchedule {
  std::vector<Loop> blocks;       // outermost first
  ConvSchedule products;          // from y on
  int64_t channels = 0;           // output channels of a block, a multiple of the products' tile
  int64_t columns = 0, rows = 0;  // tiles of a block: whole rows of the image's
  int64_t bands = 0;              // blocks of the image
};

Result<ProductsSchedule> products_schedule(const Nest& conv, const ProductsShape& shape,
                                           const std::string& text);

}  // namespace emulsion
