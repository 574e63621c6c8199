// IEEE half precision as 16 bits: how weights may be stored. Arithmetic is never done in it.
#pragma once

#include <cstdint>

namespace emulsion {

// The largest finite half.
inline constexpr float k_largest_half = 65504.0f;

// Rounded to nearest, ties to even; beyond the largest half: infinity.
uint16_t to_half(float value);
float from_half(uint16_t bits);

}  // namespace emulsion
