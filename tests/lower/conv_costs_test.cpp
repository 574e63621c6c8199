// What the costs of tiles must say of one another, whatever their numbers.
#include "lower/conv_costs.h"

#include <gtest/gtest.h>

#include "network/op.h"

namespace emulsion {
namespace {

// Of a multiplication of a 1x1 conv with so many input channels on a row of 196 pixels.
double cycles_each(int64_t channels, const ConvTile& tile) {
  Conv conv;
  conv.weight = abstract_constant({256, channels, 1, 1});
  conv.bias = abstract_constant({256});
  const Nest nest = conv_nest(conv, {1, channels, 1, 196});
  const Machine machine = machine_of("x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41");
  return expected_cycles(nest, tile, machine) / static_cast<double>(nest.multiplies());
}

TEST(ConvCosts, PixelsThatCompeteForCacheLinesCostMore) {
  const ConvTile wide{16, 2, 1, 14, 2}, narrow{16, 4, 1, 6, 2};
  EXPECT_GT(cycles_each(1024, wide), 1.02 * cycles_each(1008, wide));
  EXPECT_NEAR(cycles_each(1024, narrow), cycles_each(1008, narrow),
              0.01 * cycles_each(1008, narrow));
  EXPECT_LT(cycles_each(1008, wide), cycles_each(1008, narrow));
  EXPECT_GT(cycles_each(1024, wide), cycles_each(1024, narrow));
}

}  // namespace
}  // namespace emulsion
