// A conv's constants as its kernels read them. Plain C++, no Halide.
#pragma once

#include <vector>

#include "lower/algorithm.h"
#include "lower/schedule.h"

namespace emulsion {

// Weights in the order in which a schedule's loops read them: (co of a tile, reduction loops from
// the inside out, co outer, g), co padded with zeros to whole tiles. Then the constants of the
// epilogue and the prologue: bias and prelu slopes (co padded, g), the prologue's scale and shift
// (ci) and slopes.
std::vector<PackedConstant> pack_conv(const Conv& conv, const ConvSchedule& schedule);
// Those others alone, for so many channels in each of so many groups.
std::vector<PackedConstant> pack_channel_constants(const Conv& conv, int64_t groups,
                                                   int64_t channels, int64_t padded);
// Weights as (c, kx, ky), the others without padding.
std::vector<PackedConstant> pack_depthwise(const Conv& conv);

}  // namespace emulsion
