// Nearest-neighbour Resize and Upsample of images.
#include <cmath>

#include "onnx/convert.h"
#include "onnx/nearest_index.h"
#include "onnx/window.h"

namespace emulsion {

namespace {

struct Target {
  Shape shape;                 // of the result
  std::vector<double> scales;  // one a dimension
};

// The mode's attribute, which must be nearest.
Status check_mode(const Node& node) {
  TRY(const std::string mode, node.string_attribute("mode", "nearest"));
  if (mode != "nearest") return error("attribute 'mode' is '{}'; nearest is supported", mode);
  return ok();
}

Result<Target> scaled(const Shape& x, const std::vector<float>& scales) {
  if (scales.size() != x.size()) {
    return error("scales has {} entries for an input of rank {}", scales.size(), x.size());
  }
  Target target;
  for (size_t d = 0; d < x.size(); ++d) {
    const double scale = scales[d];
    const double extent = std::floor(static_cast<double>(x[d]) * scale);
    if (!(scale > 0) || !(extent >= 1) || !(extent <= static_cast<double>(k_most_image))) {
      return error("a scale of {} for an extent of {} is out of range", scale, x[d]);
    }
    target.shape.push_back(static_cast<int64_t>(extent));
    target.scales.push_back(scale);
  }
  return target;
}

// keep_aspect_ratio_policy, opset 18: one scale for all the axes that are resized.
Status keep_ratio(const std::string& policy, const Shape& x, const std::vector<int>& axes,
                  Target& target) {
  if (policy == "stretch") return ok();
  if (policy != "not_larger" && policy != "not_smaller") {
    return error(
        "attribute 'keep_aspect_ratio_policy' is '{}'; stretch, not_larger, not_smaller are "
        "supported",
        policy);
  }
  if (axes.empty()) return ok();
  double scale = target.scales[axes[0]];
  for (const int axis : axes) {
    scale = policy == "not_larger" ? std::min(scale, target.scales[axis])
                                   : std::max(scale, target.scales[axis]);
  }
  for (const int axis : axes) {
    const double extent = std::floor(scale * static_cast<double>(x[axis]) + 0.5);
    if (!(extent >= 1) || !(extent <= static_cast<double>(k_most_image))) {
      return error("an extent of {} is out of range", extent);
    }
    target.shape[axis] = static_cast<int64_t>(extent);
    target.scales[axis] = scale;
  }
  return ok();
}

Result<Target> sized(const Shape& x, const std::vector<int64_t>& sizes,
                     const std::vector<int>& axes, const std::string& policy) {
  if (sizes.size() != axes.size()) {
    return error("sizes has {} entries where {} are wanted", sizes.size(), axes.size());
  }
  Target target{x, std::vector<double>(x.size(), 1.0)};
  for (size_t i = 0; i < axes.size(); ++i) {
    if (sizes[i] < 1 || sizes[i] > k_most_image)
      return error("a size of {} is out of range", sizes[i]);
    target.shape[axes[i]] = sizes[i];
    target.scales[axes[i]] = static_cast<double>(sizes[i]) / static_cast<double>(x[axes[i]]);
  }
  TRY_OK(keep_ratio(policy, x, axes, target));
  return target;
}

Status finish_resize(Node& node, const NearestMode& mode, const Target& target) {
  TRY(const Shape x, node.shape(0));
  if (x.size() != 4) return error("input {} is not N x C x H x W", to_text(x));
  if (target.shape[0] != x[0] || target.shape[1] != x[1]) {
    return error("only rows and columns can be resized; {} to {} changes others", to_text(x),
                 to_text(target.shape));
  }
  TRY_OK(checked_count(target.shape, k_most_elements));
  Resize resize;
  TRY(resize.rows, nearest_index(mode, x[2], target.shape[2], target.scales[2]));
  TRY(resize.columns, nearest_index(mode, x[3], target.shape[3], target.scales[3]));
  TRY(const ValueId value, node.value(0));
  return node.finish(std::move(resize), {value});
}

Status finish_upsample(Node& node, const std::vector<float>& scales) {
  TRY_OK(check_mode(node));
  TRY(const Shape x, node.shape(0));
  TRY(const Target target, scaled(x, scales));
  return finish_resize(node, {"asymmetric", "simple"}, target);
}

// The axes that scales and sizes speak of.
Result<std::vector<int>> resized_axes(const Node& node, size_t rank) {
  std::vector<int> axes;
  if (!node.has_attribute("axes")) {
    for (size_t d = 0; d < rank; ++d) axes.push_back(static_cast<int>(d));
    return axes;
  }
  TRY(const std::vector<int64_t> given, node.ints_attribute("axes"));
  for (const int64_t axis : given) {
    TRY(const int checked, checked_axis(axis, rank));
    axes.push_back(checked);
  }
  return axes;
}

bool given(const Node& node, int i) {
  return node.has(i) && !(node.known(i) && element_count(node.known_value(i).shape) == 0);
}

}  // namespace

Status convert_upsample_attribute(Node& node) {
  const auto* a = node.attribute("scales");
  if (a == nullptr) return error("attribute 'scales' is missing");
  return finish_upsample(node, {a->floats().begin(), a->floats().end()});
}

Status convert_upsample_input(Node& node) {
  TRY(const Constant scales, node.floats(1, "scales"));
  return finish_upsample(node, scales->data);
}

Status convert_resize_10(Node& node) {
  return convert_upsample_input(node);
}

Status convert_resize(Node& node) {
  TRY_OK(check_mode(node));
  TRY(const int64_t antialias, node.int_attribute("antialias", 0));
  if (antialias != 0) return error("attribute 'antialias' is set; only 0 is supported");
  NearestMode mode;
  TRY(mode.coordinates, node.string_attribute("coordinate_transformation_mode", mode.coordinates));
  TRY(mode.rounding, node.string_attribute("nearest_mode", mode.rounding));
  if (mode.rounding == "simple") return error("attribute 'nearest_mode' is 'simple'");
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int> axes, resized_axes(node, x.size()));
  if (given(node, 3)) {
    TRY(const std::string policy, node.string_attribute("keep_aspect_ratio_policy", "stretch"));
    TRY(const std::vector<int64_t> sizes, node.ints(3, "sizes"));
    TRY(const Target target, sized(x, sizes, axes, policy));
    return finish_resize(node, mode, target);
  }
  if (!given(node, 2)) return error("it has neither scales nor sizes");
  TRY(const Constant scales, node.floats(2, "scales"));
  if (scales->data.size() != axes.size()) {
    return error("scales has {} entries where {} are wanted", scales->data.size(), axes.size());
  }
  std::vector<float> all(x.size(), 1.0f);
  for (size_t i = 0; i < axes.size(); ++i) all[axes[i]] = scales->data[i];
  TRY(const Target target, scaled(x, all));
  return finish_resize(node, mode, target);
}

}  // namespace emulsion
