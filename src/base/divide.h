// Whole numbers divided and rounded up.
#pragma once

#include <cstdint>

namespace emulsion {

// a / b, rounded up; a >= 0, b > 0.
constexpr int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

// The least multiple that is not below a.
constexpr int64_t round_up(int64_t a, int64_t multiple) {
  return divide_up(a, multiple) * multiple;
}

}  // namespace emulsion
