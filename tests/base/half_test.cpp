#include "base/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace emulsion {
namespace {

TEST(Half, EveryOneRoundTrips) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = from_half(static_cast<uint16_t>(bits));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(from_half(to_half(value))));
    } else {
      EXPECT_EQ(to_half(value), bits) << bits;
    }
  }
}

TEST(Half, RoundsToTheNearestAndTiesToEven) {
  for (uint32_t bits = 0; bits < 0x7bff; ++bits) {
    const float low = from_half(static_cast<uint16_t>(bits)),
                high = from_half(static_cast<uint16_t>(bits + 1));
    const float middle = (low + high) / 2;  // exact in f32
    EXPECT_EQ(to_half(middle), bits % 2 == 0 ? bits : bits + 1);
    EXPECT_EQ(to_half(std::nextafter(middle, 0.0f)), bits);
    EXPECT_EQ(to_half(std::nextafter(middle, high)), bits + 1);
    EXPECT_EQ(to_half(-middle), (bits % 2 == 0 ? bits : bits + 1) | 0x8000u);
  }
}

TEST(Half, OverflowsToInfinity) {
  EXPECT_EQ(from_half(to_half(k_largest_half)), k_largest_half);
  EXPECT_EQ(from_half(to_half(65519.0f)), k_largest_half);
  EXPECT_EQ(from_half(to_half(65520.0f)), std::numeric_limits<float>::infinity());
  EXPECT_EQ(from_half(to_half(-1e30f)), -std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace emulsion
