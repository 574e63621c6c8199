#include "lower/products_pack.h"

#include "base/divide.h"
#include "lower/conv_pack.h"

namespace emulsion {

std::vector<PackedConstant> pack_products(const Conv& conv, const ProductsSchedule& schedule,
                                          int64_t parts, const WeightsAtPlaces& weights) {
  const Nest& nest = schedule.products.nest;
  const int64_t tile = schedule.products.tile("co"), tiles = schedule.channels / tile;
  const int64_t blocks = divide_up(nest.co, schedule.channels), places = nest.y;
  std::vector<PackedConstant> packed =
      pack_channel_constants(conv, nest.groups * parts, nest.co, blocks * schedule.channels);
  PackedConstant weight;
  for (const int64_t extent : {tile, nest.ci, tiles, places, blocks, nest.groups})
    weight.extents.push_back(static_cast<int>(extent));
  if (!conv.weight->abstract()) {
    weight.data.assign(nest.groups * blocks * places * tiles * nest.ci * tile, 0.0f);
    std::vector<double> of_places(places);
    for (int64_t g = 0; g < nest.groups; ++g)
      for (int64_t c = 0; c < nest.co; ++c)
        for (int64_t i = 0; i < nest.ci; ++i) {
          weights(g, c, i, of_places);
          const int64_t block = g * blocks + c / schedule.channels;
          for (int64_t p = 0; p < places; ++p) {
            const int64_t at = (block * places + p) * tiles + c % schedule.channels / tile;
            weight.data[(at * nest.ci + i) * tile + c % tile] = static_cast<float>(of_places[p]);
          }
        }
  }
  packed.insert(packed.begin(), std::move(weight));
  return packed;
}

}  // namespace emulsion
