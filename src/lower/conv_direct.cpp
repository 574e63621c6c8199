// The sums as they are written: any groups, stride, dilation and kernel, a tile of channels by
// pixels in registers, each input broadcast against vectors of weights.
#include "lower/conv_row.h"

namespace emulsion {

AlgorithmRow direct_row() {
  return TiledConv<conv_view>::row(
      "direct", "the sums as they are written, a tile of channels by pixels in registers",
      takes_conv);
}

}  // namespace emulsion
