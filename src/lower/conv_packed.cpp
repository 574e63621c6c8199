// The sums as they are written, where groups are narrower than a vector: several share one, and
// each output channel gets its group's input in its own lane.
#include "lower/conv_row.h"

namespace emulsion {

namespace {

bool applies(const KernelSpec& spec, std::string* reason) {
  if (!takes_conv(spec, reason)) return false;
  const ConvView view = packed_view(spec);
  if (view.packed == 1)
    *reason = "no number of its groups, two or more, fills a vector";
  else if (packing_shuffles(view.packed) && view.nest.ci * view.nest.kx > k_most_unrolled)
    *reason = fmt::format("{} input channels a group are too many to unroll", view.nest.ci);
  else
    return true;
  return false;
}

}  // namespace

AlgorithmRow packed_row() {
  return TiledConv<packed_view>::row("packed", "direct, with several narrow groups in one vector",
                                     applies);
}

}  // namespace emulsion
