// Convolution and batch normalisation.
#include <cmath>

#include "onnx/convert.h"
#include "onnx/window.h"

namespace emulsion {

Status convert_conv(Node& node) {
  TRY(const Shape x_shape, node.shape(0));
  Conv conv;
  TRY(conv.weight, node.floats(1, "weight"));
  const Shape& weight = conv.weight->shape;
  if (x_shape.size() == 4 && weight.size() != 4) {
    return error("weight has shape {}; Co x Ci/groups x Ky x Kx is wanted", to_text(weight));
  }
  Extent2 kernel{0, 0};
  for (int i = 0; i < 2 && weight.size() == 4; ++i) {
    TRY(kernel[i], checked_int(weight[2 + i], 1, k_most_window, "the kernel's extent"));
  }
  TRY(const Window window, read_window(node, x_shape, kernel));
  conv.stride = window.stride;
  conv.dilation = window.dilation;
  conv.pad = window.pad;
  TRY(const int64_t groups, node.int_attribute("group", 1));
  TRY(conv.groups, checked_int(groups, 1, k_most_image, "attribute 'group'"));
  if (node.has(2)) {
    TRY(conv.bias, node.floats(2, "bias"));
  }
  TRY(const ValueId x, node.value(0));
  return node.finish(std::move(conv), {x});
}

Status convert_batch_norm(Node& node) {
  TRY(const int64_t training, node.int_attribute("training_mode", 0));
  TRY(const int64_t spatial, node.int_attribute("spatial", 1));
  if (training != 0) return error("attribute 'training_mode' is set; only inference is supported");
  if (spatial != 1) return error("attribute 'spatial' is {}; only 1 is supported", spatial);
  for (int i = 1; i < node.output_count(); ++i) {
    if (node.output_used(i)) return error("output {} is used; only inference is supported", i);
  }
  BatchNorm norm;
  TRY(norm.scale, node.floats(1, "scale"));
  TRY(norm.shift, node.floats(2, "B"));
  TRY(norm.mean, node.floats(3, "mean"));
  TRY(norm.variance, node.floats(4, "var"));
  TRY(norm.epsilon, node.float_attribute("epsilon", 1e-5f));
  if (!std::isfinite(norm.epsilon)) return error("attribute 'epsilon' is not finite");
  TRY(const ValueId x, node.value(0));
  return node.finish(std::move(norm), {x});
}

}  // namespace emulsion
