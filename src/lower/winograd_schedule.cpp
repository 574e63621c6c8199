#include "lower/winograd_schedule.h"

#include <algorithm>

#include "base/divide.h"
#include "lower/conv_pack.h"
#include "lower/conv_templates.h"
#include "lower/winograd.h"

namespace emulsion {

int64_t inputs_of_a_tile(int outputs, int stride) {
  return WinogradTransforms{outputs, 3, stride}.products();
}

Nest products_nest(const Nest& nest, int outputs) {
  Conv conv;
  conv.groups = static_cast<int>(nest.groups);
  conv.weight = abstract_constant({nest.groups * nest.co, nest.ci, 1, 1});
  const int64_t side = inputs_of_a_tile(outputs, nest.stride[0]);
  const int64_t tiles = divide_up(nest.y, outputs) * divide_up(nest.x, outputs);
  return conv_nest(conv, {nest.n, nest.groups * nest.ci, side * side, tiles});
}

Result<WinogradSchedule> winograd_schedule(const Nest& conv, int outputs, const std::string& text) {
  const Nest nest = products_nest(conv, outputs);
  TRY(const ConvSchedule whole, conv_schedule(nest, text, {"co", true}));
  for (const Loop& loop : whole.outer)
    if (!loop.fused.empty()) return error("Winograd does not fuse loops ({})", loop.name);
  const auto places = std::find_if(whole.outer.begin(), whole.outer.end(),
                                   [](const Loop& loop) { return loop.iterator == "y"; });
  if (places == whole.outer.end() || places->extent != nest.y)
    return error("y, the {} places of a tile, is one loop outside the reduction", nest.y);
  WinogradSchedule s;
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
  const int64_t tile_columns = divide_up(conv.x, outputs), tile_rows = divide_up(conv.y, outputs);
  if (tiles % tile_columns != 0)
    return error("a block of {} tiles is not made of whole rows of {}", tiles, tile_columns);
  if (const int64_t bytes = 4 * nest.y * tiles * (nest.ci + s.channels);
      bytes > k_most_winograd_scratch)
    return error("a block of {} tiles and {} channels needs {} bytes of scratch ({} at most)",
                 tiles, s.channels, bytes, k_most_winograd_scratch);
  s.columns = tile_columns;
  s.rows = tiles / tile_columns;
  s.bands = divide_up(tile_rows, s.rows);
  return s;
}

std::vector<PackedConstant> pack_winograd(const Conv& conv, const WinogradSchedule& schedule,
                                          int outputs) {
  const WinogradTransforms t = winograd_transforms(outputs, 3, conv.stride[0]);
  const Shape& shape = conv.weight->shape;
  const int64_t groups = conv.groups, co = shape[0] / groups, ci = shape[1];
  const int64_t tile = schedule.products.tile("co"), tiles = schedule.channels / tile;
  const int64_t blocks = divide_up(co, schedule.channels);
  const int64_t side = t.products(), places = side * side;
  std::vector<PackedConstant> packed =
      pack_channel_constants(conv, groups, co, blocks * schedule.channels);
  PackedConstant weight;
  for (const int64_t extent : {tile, ci, tiles, places, blocks, groups})
    weight.extents.push_back(static_cast<int>(extent));
  if (!conv.weight->abstract()) {
    weight.data.assign(groups * blocks * places * tiles * ci * tile, 0.0f);
    std::vector<double> rows(side * 3);
    for (int64_t g = 0; g < groups; ++g)
      for (int64_t c = 0; c < co; ++c)
        for (int64_t i = 0; i < ci; ++i) {
          const float* taps = &conv.weight->data[((g * co + c) * ci + i) * 9];
          // G g, then (G g) G^T.
          for (int64_t p = 0; p < side; ++p)
            for (int64_t kx = 0; kx < 3; ++kx) {
              rows[p * 3 + kx] = 0;
              for (int64_t ky = 0; ky < 3; ++ky)
                rows[p * 3 + kx] += t.weight[p][ky] * taps[ky * 3 + kx];
            }
          for (int64_t p = 0; p < side; ++p)
            for (int64_t q = 0; q < side; ++q) {
              double value = 0;
              for (int64_t kx = 0; kx < 3; ++kx) value += rows[p * 3 + kx] * t.weight[q][kx];
              const int64_t block = g * blocks + c / schedule.channels;
              const int64_t at =
                  (block * places + p * side + q) * tiles + c % schedule.channels / tile;
              weight.data[(at * ci + i) * tile + c % tile] = static_cast<float>(value);
            }
        }
  }
  packed.insert(packed.begin(), std::move(weight));
  return packed;
}

}  // namespace emulsion
