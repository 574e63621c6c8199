// A conv's constants as its kernels read them. Plain C++, no Halide.
#pragma once

#include <vector>

#include "lower/algorithm.h"
#include "lower/schedule.h"

namespace emulsion {

// Weights in the order in which a schedule's loops read them: (co of a tile, reduction loops from the inside
// out, co outer, g), co padded with zeros to whole tiles. Then the constants of the epilogue and the prologue:
// bias and prelu slopes (co padded, g), the prologue's scale and shift (ci) and slopes.
std::vector<PackedConstant> pack_conv(const Conv& conv, const ConvSchedule& schedule);
// Weights as (c, kx, ky), the others without padding.
std::vector<PackedConstant> pack_depthwise(const Conv& conv);

}  // namespace emulsion
