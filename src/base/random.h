// Counter-based random numbers: every draw is a function of a key and a position, so that results
// depend neither on order nor on threads.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string_view>

namespace emulsion {

// splitmix64's finaliser: a bijection of 64-bit words that mixes well (Steele, Lea, Flood 2014).
inline uint64_t mix_bits(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

// A stream of draws for one key; at(i) and friends are pure functions of the key and i.
class RandomStream {
 public:
  explicit RandomStream(uint64_t seed, std::string_view purpose = "", uint64_t index = 0)
      : key_(mix_bits(seed)) {
    for (const char c : purpose) key_ = mix_bits(key_ ^ static_cast<unsigned char>(c));
    key_ = mix_bits(key_ ^ index);
  }

  uint64_t bits(uint64_t i) const { return mix_bits(key_ ^ mix_bits(i)); }
  // In [0, 1).
  double uniform(uint64_t i) const { return static_cast<double>(bits(i) >> 11) * 0x1p-53; }
  double uniform(uint64_t i, double low, double high) const {
    return low + (high - low) * uniform(i);
  }
  // In [0, n), n > 0.
  uint64_t below(uint64_t i, uint64_t n) const {
    return static_cast<uint64_t>(uniform(i) * static_cast<double>(n));
  }
  // Standard normal (Box-Muller).
  double normal(uint64_t i) const {
    const double u = 1.0 - uniform(2 * i), v = uniform(2 * i + 1);
    return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
  }

 private:
  uint64_t key_;
};

}  // namespace emulsion
