#include "onnx/window.h"

#include <algorithm>

#include "base/divide.h"

namespace emulsion {

namespace {

Result<Extent2> extent_attribute(const Node& node, const char* key, Extent2 otherwise) {
  TRY(const std::vector<int64_t> given, node.ints_attribute(key));
  if (given.empty()) return otherwise;
  if (given.size() != 2)
    return error("attribute '{}' has {} entries; 2 are wanted", key, given.size());
  Extent2 result;
  for (int i = 0; i < 2; ++i) {
    TRY(result[i], checked_int(given[i], 1, k_most_window, key));
  }
  return result;
}

}  // namespace

Result<Window> read_window(const Node& node, const Shape& x, Extent2 kernel) {
  if (x.size() != 4) {
    return error(
        "{}-D images (input {}) are not supported; 2-D ones (N x C x H x W) are, add an axis with "
        "Unsqueeze",
        static_cast<int64_t>(x.size()) - 2, to_text(x));
  }
  if (x[2] > k_most_image || x[3] > k_most_image) {
    return error("images of {} by {} are not supported; {} is the most", x[2], x[3], k_most_image);
  }
  Window w;
  TRY(const Extent2 given, extent_attribute(node, "kernel_shape", kernel));
  if (kernel != Extent2{0, 0} && given != kernel) {
    return error("attribute 'kernel_shape' is {}x{} but the weight's is {}x{}", given[0], given[1],
                 kernel[0], kernel[1]);
  }
  if (given[0] == 0) return error("attribute 'kernel_shape' is missing");
  w.kernel = given;
  TRY(w.stride, extent_attribute(node, "strides", {1, 1}));
  TRY(w.dilation, extent_attribute(node, "dilations", {1, 1}));
  TRY(const std::vector<int64_t> pads, node.ints_attribute("pads", {0, 0, 0, 0}));
  if (pads.size() != 4) return error("attribute 'pads' has {} entries; 4 are wanted", pads.size());
  for (int i = 0; i < 4; ++i) {
    TRY(w.pad[i], checked_int(pads[i], 0, k_most_window, "attribute 'pads'"));
  }
  TRY(const std::string auto_pad, node.string_attribute("auto_pad", "NOTSET"));
  TRY(const int64_t ceil_mode, node.int_attribute("ceil_mode", 0));
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && auto_pad != "NOTSET" && auto_pad != "VALID" && !auto_pad.empty()) {
    return error(
        "attribute 'auto_pad' is '{}'; NOTSET, VALID, SAME_UPPER, SAME_LOWER are supported",
        auto_pad);
  }
  if (auto_pad == "VALID") w.pad = {0, 0, 0, 0};
  for (int i = 0; i < 2; ++i) {
    const int64_t size = x[2 + i], covered = int64_t{w.kernel[i] - 1} * w.dilation[i] + 1;
    if (same) {
      w.out[i] = static_cast<int>(divide_up(size, w.stride[i]));
      const int64_t total =
          std::max<int64_t>(0, int64_t{w.out[i] - 1} * w.stride[i] + covered - size);
      const int64_t less = total / 2;
      w.pad[i] = static_cast<int>(auto_pad == "SAME_UPPER" ? less : total - less);
      w.pad[2 + i] = static_cast<int>(total) - w.pad[i];
      continue;
    }
    w.out[i] = static_cast<int>(
        window_outputs(size, w.pad[i], w.pad[2 + i], covered, w.stride[i], ceil_mode != 0));
    if (w.out[i] < 1) {
      return error("a window of {} does not fit the {} of input {} with its padding", covered,
                   i == 0 ? "rows" : "columns", to_text(x));
    }
  }
  return w;
}

}  // namespace emulsion
