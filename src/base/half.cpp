#include "base/half.h"

#include <bit>

namespace emulsion {

uint16_t to_half(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  constexpr uint32_t k_infinity = 0x7f800000u, k_overflow = 0x477ff000u,
                     k_least_normal = 0x38800000u;
  if (magnitude > k_infinity) return sign | 0x7e00u;   // NaN
  if (magnitude >= k_overflow) return sign | 0x7c00u;  // 65520 and more round to infinity
  if (magnitude < k_least_normal) {
    // Subnormal: adding 0.5 leaves the value in units of 2^-24 in the last bits, rounded.
    const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  const uint32_t rounded = magnitude - (112u << 23) + 0xfffu + odd;  // exponent bias 127 -> 15
  return static_cast<uint16_t>(sign | (rounded >> 13));
}

float from_half(uint16_t bits) {
  const uint32_t sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u)
    return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude < 0x400u) {
    const float value = static_cast<float>(magnitude) * 0x1p-24f;
    return sign ? -value : value;
  }
  return std::bit_cast<float>(sign | ((magnitude << 13) + (112u << 23)));
}

}  // namespace emulsion
