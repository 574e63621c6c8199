#include "lower/conv_tile.h"

namespace emulsion {

int lanes_for(int64_t channels, int vector) {
  int lanes = 1;
  while (lanes < channels && lanes < vector) lanes *= 2;
  return lanes;
}

}  // namespace emulsion
