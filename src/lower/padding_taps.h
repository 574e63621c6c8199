// Taps that only read padding, which a conv can leave out: a fifth of them on 7x7 pixels, little on
// large images. No Halide.
#pragma once

#include "nest/nest.h"

namespace emulsion {

// The part of a conv's taps that is computed, in rows (y ky) and in columns (x kx) of them.
struct KeptTaps {
  double rows = 1, columns = 1;
};

// How many copies of the innermost statement there are, by loops that they come from.
struct Copies {
  int64_t y = 1, x = 1, kx = 1;
};

// What is left out where copies lie so: rows where that shortens a loop, columns where it is known
// of each copy. All are kept where leaving some out would gain too little.
KeptTaps kept_taps(const Nest& nest, const Copies& copies);

}  // namespace emulsion
