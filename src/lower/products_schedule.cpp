#include "lower/products_schedule.h"

#include <algorithm>

#include "base/divide.h"
#include "lower/conv_templates.h"

namespace emulsion {

int64_t scratch_of_a_row(const ProductsShape& shape, int64_t channels) {
  return 4 * shape.places * shape.columns * (shape.ci + channels);
}

Nest products_nest(const Nest& conv, const ProductsShape& shape) {
  Conv products;
  products.groups = static_cast<int>(conv.groups);
  products.weight = abstract_constant({conv.groups * shape.co, shape.ci, 1, 1});
  return conv_nest(products,
                   {conv.n, conv.groups * shape.ci, shape.places, shape.columns * shape.rows});
}

Result<ProductsSchedule> products_schedule(const Nest& conv, const ProductsShape& shape,
                                           const std::string& text) {
  const Nest nest = products_nest(conv, shape);
  TRY(const ConvSchedule whole, conv_schedule(nest, text, {"co", true}));
  for (const Loop& loop : whole.outer)
    if (!loop.fused.empty()) return error("loops of products are not fused ({})", loop.name);
  const auto places = std::find_if(whole.outer.begin(), whole.outer.end(),
                                   [](const Loop& loop) { return loop.iterator == "y"; });
  if (places == whole.outer.end() || places->extent != nest.y)
    return error("y, the {} places of a tile, is one loop outside the reduction", nest.y);
  ProductsSchedule s;
  s.blocks = {whole.outer.begin(), places};
  s.products = {whole.nest, {places, whole.outer.end()}, whole.inner, whole.channels_padded};
  s.products.nest.loops = s.products.outer;
  s.products.nest.loops.insert(s.products.nest.loops.end(), whole.inner.begin(), whole.inner.end());
  int64_t tiles = nest.x, block_channels = 0;
  s.channels = 1;
  for (const Loop& loop : s.products.nest.loops) {
    if (loop.iterator == "n" || loop.iterator == "g")
      return error("loop {} lies inside y, the places of a tile", loop.name);
    if (loop.iterator == "co") s.channels *= loop.extent;
  }
  int64_t parts_of_x = 0, parts_of_co = 0;
  for (const Loop& loop : s.blocks) {
    if (loop.iterator == "x") {
      ++parts_of_x;
      tiles = loop.stride;
    } else if (loop.iterator == "co") {
      ++parts_of_co;
      block_channels = loop.stride;
    }
  }
  if (parts_of_x > 1 || parts_of_co > 1)
    return error("{} is split more than once outside y", parts_of_x > 1 ? "x" : "co");
  if (parts_of_co > 0 && block_channels != s.channels)
    return error("a block of {} channels is not made of whole tiles of {}", block_channels,
                 s.products.tile("co"));
  if (tiles % shape.columns != 0)
    return error("a block of {} tiles is not made of whole rows of {}", tiles, shape.columns);
  if (const int64_t bytes = 4 * nest.y * tiles * (nest.ci + s.channels);
      bytes > k_most_products_scratch)
    return error("a block of {} tiles and {} channels needs {} bytes of scratch ({} at most)",
                 tiles, s.channels, bytes, k_most_products_scratch);
  s.columns = shape.columns;
  s.rows = tiles / shape.columns;
  s.bands = divide_up(shape.rows, s.rows);
  return s;
}

}  // namespace emulsion
