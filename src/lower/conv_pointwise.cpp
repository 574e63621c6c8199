// A 1x1 conv of stride 1 as a matrix product: the rows of an image become one row of pixels, so
// that tiles need not end at the end of a row.
#include "lower/conv_row.h"

namespace emulsion {

namespace {

bool applies(const KernelSpec& spec, std::string* reason) {
  if (!takes_conv(spec, reason)) return false;
  const auto& conv = std::get<Conv>(spec.op);
  const Shape& weight = conv.weight->shape;
  if (weight[2] != 1 || weight[3] != 1)
    *reason = fmt::format("the kernel is {}x{}, not 1x1", weight[2], weight[3]);
  else if (conv.stride != Extent2{1, 1})
    *reason = fmt::format("the stride is {}x{}, not 1x1", conv.stride[0], conv.stride[1]);
  else if (conv.pad != Pad4{0, 0, 0, 0})
    *reason = "it has padding";
  else
    return true;
  return false;
}

}  // namespace

AlgorithmRow pointwise_row() {
  return TiledConv<flattened_view>::row("pointwise",
                                        "1x1, stride 1: a matrix product over all pixels", applies);
}

}  // namespace emulsion
