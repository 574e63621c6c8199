// The weights of a conv that is computed as matrix products, as its kernel reads them. Plain C++,
// no Halide.
#pragma once

#include <functional>
#include <vector>

#include "lower/algorithm.h"
#include "lower/products_schedule.h"

namespace emulsion {

// Of group g, output channel co and input channel ci of the products: the weight at each place.
using WeightsAtPlaces =
    std::function<void(int64_t g, int64_t co, int64_t ci, std::vector<double>& places)>;

// Weights in the order in which they are read: (co of a register tile, ci, register tile of a
// block, place, block, g). Then the other constants, as pack_channel_constants makes them of
// `parts` groups for each of the products' groups.
std::vector<PackedConstant> pack_products(const Conv& conv, const ProductsSchedule& schedule,
                                          int64_t parts, const WeightsAtPlaces& weights);

}  // namespace emulsion
