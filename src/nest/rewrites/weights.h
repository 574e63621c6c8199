// Parts of a conv's constants, for replacements to inherit. An abstract constant gives abstract
// parts.
#pragma once

#include <functional>

#include "network/op.h"

namespace emulsion {

// The weight whose taps (o, i) are the old one's taps where(o, i).
Constant gathered(const Constant& weight, const Shape& shape,
                  const std::function<std::pair<int64_t, int64_t>(int64_t, int64_t)>& where);

// Entries from `first` on, or null for null. One entry that stands for all channels stays.
Constant channel_range(const Constant& per_channel, int64_t first, int64_t count);

// The conv of output channels [first, first + count) alone: their weights, bias and slopes. The
// conv is not grouped.
Conv output_channels(const Conv& conv, int64_t first, int64_t count);

// Without its bias and epilogue.
Conv bare(const Conv& conv);

// A 1x1 conv that does nothing else.
Conv pointwise(Constant weight, int groups = 1);

}  // namespace emulsion
