// Pools of images.
#include "onnx/convert.h"
#include "onnx/window.h"

namespace emulsion {

namespace {

Status finish_pool(Node& node, Pool::Kind kind, bool count_include_pad) {
  TRY(const Shape x_shape, node.shape(0));
  TRY(const Window window, read_window(node, x_shape, {0, 0}));
  TRY(const ValueId x, node.value(0));
  return node.finish(Pool{kind, window.kernel, window.stride, window.dilation, window.pad,
                          count_include_pad, window.out},
                     {x});
}

}  // namespace

Status convert_max_pool(Node& node) {
  if (node.output_used(1))
    return error("its Indices output is used; only the values are supported");
  return finish_pool(node, Pool::Kind::max, false);
}

Status convert_average_pool(Node& node) {
  TRY(const int64_t include, node.int_attribute("count_include_pad", 0));
  return finish_pool(node, Pool::Kind::average, include != 0);
}

Status convert_global_max_pool(Node& node) {
  TRY(const Shape shape, node.shape(0));
  if (shape.size() != 4) return error("input {} is not N x C x H x W", to_text(shape));
  Pool pool;
  for (int i = 0; i < 2; ++i) {
    TRY(pool.kernel[i], checked_int(shape[2 + i], 1, k_most_image, "the image's extent"));
  }
  TRY(const ValueId x, node.value(0));
  return node.finish(pool, {x});
}

Status convert_global_average_pool(Node& node) {
  TRY(const Shape shape, node.shape(0));
  if (shape.size() < 3) return error("input {} has no image dimensions", to_text(shape));
  ReduceMean mean;
  for (size_t d = 2; d < shape.size(); ++d) mean.axes.push_back(static_cast<int>(d));
  TRY(const ValueId x, node.value(0));
  return node.finish(mean, {x});
}

}  // namespace emulsion
