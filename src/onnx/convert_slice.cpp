// Operators that take parts of a tensor, put parts together, or put a border around.
#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/divide.h"
#include "onnx/convert.h"

namespace emulsion {

namespace {

constexpr int64_t k_most_pad = int64_t{1} << 24;

// One dimension of a slice, resolved against its extent.
struct Range {
  int64_t start = 0, step = 1, extent = 0;
};

// ONNX Operators, "Slice": negative bounds count from the end, and bounds are clamped.
Range resolved_range(int64_t start, int64_t end, int64_t step, int64_t extent) {
  if (extent == 0) return {};
  // No larger step makes a difference, and negating this one is defined.
  step = std::clamp(step, -extent - 1, extent + 1);
  if (start < 0) start += extent;
  if (end < 0) end += extent;
  if (step > 0) {
    start = std::clamp(start, int64_t{0}, extent);
    end = std::clamp(end, int64_t{0}, extent);
    return {start, step, end > start ? divide_up(end - start, step) : 0};
  }
  start = std::clamp(start, int64_t{0}, std::max<int64_t>(extent - 1, 0));
  end = std::clamp(end, int64_t{-1}, extent - 1);
  return {start, step, start > end ? (start - end - step - 1) / -step : 0};
}

// Output `output` is x[ranges].
Status finish_slice(Node& node, int output, const Shape& x, const std::vector<Range>& ranges) {
  Slice slice;
  for (const Range& r : ranges) {
    slice.starts.push_back(r.start);
    slice.steps.push_back(r.step);
    slice.shape.push_back(r.extent);
  }
  if (!node.known(0)) {
    if (element_count(slice.shape) == 0) return error("output {} is empty", output);
    TRY(const ValueId value, node.value(0));
    TRY(const ValueId y, node.emit(std::move(slice), {value}));
    return node.set(output, y);
  }
  std::vector<int64_t> strides = row_major_strides(x);
  int64_t offset = 0;
  for (size_t d = 0; d < x.size(); ++d) {
    offset += slice.starts[d] * strides[d];
    strides[d] *= slice.steps[d];
  }
  return node.set(output, take_strided(node.known_value(0), slice.shape, strides, offset));
}

std::vector<Range> whole(const Shape& x) {
  std::vector<Range> ranges;
  for (const int64_t extent : x) ranges.push_back({0, 1, extent});
  return ranges;
}

Status slice_by(Node& node, const std::vector<int64_t>& starts, const std::vector<int64_t>& ends,
                std::vector<int64_t> axes, std::vector<int64_t> steps) {
  TRY(const Shape x, node.shape(0));
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() ||
      steps.size() != starts.size()) {
    return error("starts, ends, axes and steps have different lengths");
  }
  std::vector<Range> ranges = whole(x);
  for (size_t i = 0; i < starts.size(); ++i) {
    TRY(const int axis, checked_axis(axes[i], x.size()));
    if (steps[i] == 0) return error("the step of axis {} is 0", axis);
    ranges[axis] = resolved_range(starts[i], ends[i], steps[i], x[axis]);
  }
  return finish_slice(node, 0, x, ranges);
}

Status split_by(Node& node, const std::vector<int64_t>& sizes, int axis) {
  TRY(const Shape x, node.shape(0));
  if (static_cast<int>(sizes.size()) != node.output_count()) {
    return error("{} sizes for {} outputs", sizes.size(), node.output_count());
  }
  int64_t start = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 0 || sizes[i] > x[axis] - start) {
      return error("sizes {} do not split an extent of {}", fmt::join(sizes, ","), x[axis]);
    }
    std::vector<Range> ranges = whole(x);
    ranges[axis] = {start, 1, sizes[i]};
    start += sizes[i];
    if (node.output_used(static_cast<int>(i))) {
      TRY_OK(finish_slice(node, static_cast<int>(i), x, ranges));
    }
  }
  if (start != x[axis]) {
    return error("sizes {} do not split an extent of {}", fmt::join(sizes, ","), x[axis]);
  }
  return ok();
}

// Equal parts; with num_outputs (opset 18) the last one may be smaller.
Result<std::vector<int64_t>> equal_parts(const Node& node, int64_t extent) {
  const int64_t parts = node.output_count();
  TRY(const int64_t given, node.int_attribute("num_outputs", parts));
  if (parts < 1 || given != parts) return error("num_outputs {} for {} outputs", given, parts);
  if (extent % parts != 0 && !node.has_attribute("num_outputs")) {
    return error("an extent of {} does not split in {} equal parts", extent, parts);
  }
  const int64_t size = divide_up(extent, parts);
  std::vector<int64_t> sizes;
  for (int64_t i = 0; i < parts; ++i) {
    sizes.push_back(std::clamp<int64_t>(extent - i * size, 0, size));
  }
  return sizes;
}

Status gather_known(Node& node, int axis, const Shape& x, const std::vector<int64_t>& indices) {
  const Known& index = node.known_value(1);
  Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), index.shape.begin(), index.shape.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  TRY_OK(checked_count(shape, k_most_made_elements));
  const int64_t outer = element_count(Shape(x.begin(), x.begin() + axis));
  const int64_t inner = element_count(Shape(x.begin() + axis + 1, x.end()));
  std::vector<int64_t> from;
  for (int64_t o = 0; o < outer; ++o) {
    for (const int64_t i : indices) {
      for (int64_t k = 0; k < inner; ++k) from.push_back((o * x[axis] + i) * inner + k);
    }
  }
  return node.set(0, take(node.known_value(0), shape, from));
}

// x[first : first + count * step : step] along one axis.
Result<ValueId> slice_axis(Node& node, ValueId value, const Shape& x, int axis, Range range) {
  Slice slice;
  slice.starts.assign(x.size(), 0);
  slice.steps.assign(x.size(), 1);
  slice.shape = x;
  slice.starts[axis] = range.start;
  slice.steps[axis] = range.step;
  slice.shape[axis] = range.extent;
  return node.emit(std::move(slice), {value});
}

// Indices as the fewest evenly spaced runs that a greedy walk finds.
std::vector<Range> even_runs(const std::vector<int64_t>& indices) {
  std::vector<Range> runs;
  for (const int64_t i : indices) {
    Range* last = runs.empty() ? nullptr : &runs.back();
    if (last != nullptr && last->extent == 1 && i != last->start) last->step = i - last->start;
    if (last != nullptr && i != last->start && i == last->start + last->step * last->extent) {
      ++last->extent;
    } else {
      runs.push_back({i, 1, 1});
    }
  }
  return runs;
}

// Rows or columns of N x C x H x W.
Result<ValueId> gather_lines(Node& node, ValueId value, const Shape& x, int axis,
                             const std::vector<int64_t>& indices) {
  if (x[2] > k_most_pad || x[3] > k_most_pad) return error("input {} is too large", to_text(x));
  Resize resize;
  std::vector<int>& own = axis == 2 ? resize.rows : resize.columns;
  std::vector<int>& other = axis == 2 ? resize.columns : resize.rows;
  own.assign(indices.begin(), indices.end());
  other.resize(x[axis == 2 ? 3 : 2]);
  std::iota(other.begin(), other.end(), 0);
  return node.emit(std::move(resize), {value});
}

// A run-time value: evenly spaced indices are a slice, rows or columns of an image a resize, and
// anything else a concatenation of slices.
Status gather_value(Node& node, int axis, const Shape& x, const std::vector<int64_t>& indices) {
  constexpr size_t k_most_runs = 64;
  const Shape index_shape = node.known_value(1).shape;
  TRY(const ValueId value, node.value(0));
  const std::vector<Range> runs = even_runs(indices);
  ValueId picked = -1;
  if (runs.size() == 1) {
    TRY(picked, slice_axis(node, value, x, axis, runs[0]));
  } else if (x.size() == 4 && axis >= 2) {
    TRY(picked, gather_lines(node, value, x, axis, indices));
  } else if (runs.size() <= k_most_runs) {
    std::vector<ValueId> parts;
    for (const Range& run : runs) {
      TRY(const ValueId part, slice_axis(node, value, x, axis, run));
      parts.push_back(part);
    }
    TRY(picked, node.emit(Concat{axis}, parts));
  } else {
    return error("{} scattered indices of a run-time value; {} are supported", indices.size(),
                 k_most_runs);
  }
  if (index_shape.size() == 1) return node.set(0, picked);
  Shape shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), index_shape.begin(), index_shape.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  return node.finish(Reshape{shape}, {picked});
}

Result<Pad::Mode> pad_mode(const Node& node) {
  TRY(const std::string mode, node.string_attribute("mode", "constant"));
  if (mode == "constant") return Pad::Mode::constant;
  if (mode == "reflect") return Pad::Mode::reflect;
  if (mode == "edge") return Pad::Mode::edge;
  return error("attribute 'mode' is '{}'; constant, reflect, edge are supported", mode);
}

Status pad_by(Node& node, const std::vector<int64_t>& pads, std::vector<int64_t> axes,
              float value) {
  TRY(const Shape x, node.shape(0));
  Pad pad;
  TRY(pad.mode, pad_mode(node));
  if (std::isnan(value)) return error("the padding's value is NaN");
  pad.value = value;
  pad.before.assign(x.size(), 0);
  pad.after.assign(x.size(), 0);
  if (pads.size() != 2 * axes.size()) {
    return error("pads has {} entries where {} are wanted", pads.size(), 2 * axes.size());
  }
  for (size_t i = 0; i < axes.size(); ++i) {
    TRY(const int axis, checked_axis(axes[i], x.size()));
    TRY(pad.before[axis], checked_int(pads[i], -k_most_pad, k_most_pad, "a pad of"));
    TRY(pad.after[axis], checked_int(pads[axes.size() + i], -k_most_pad, k_most_pad, "a pad of"));
  }
  TRY(const ValueId in, node.value(0));
  return node.finish(std::move(pad), {in});
}

std::vector<int64_t> all_axes(size_t rank) {
  std::vector<int64_t> axes(rank);
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

}  // namespace

Status convert_concat(Node& node) {
  TRY(const Shape first, node.shape(0));
  if (!node.has_attribute("axis")) return error("attribute 'axis' is missing");
  TRY(const int axis, node.axis_attribute("axis", 0, first.size()));
  if (!node.all_known()) {
    std::vector<ValueId> parts;
    for (int i = 0; i < node.input_count(); ++i) {
      TRY(const ValueId part, node.value(i));
      parts.push_back(part);
    }
    return node.finish(Concat{axis}, parts);
  }
  Shape shape = first;
  shape[axis] = 0;
  for (int i = 0; i < node.input_count(); ++i) {
    TRY(const Shape part, node.shape(i));
    Shape rest = part, wanted = shape;
    if (part.size() != shape.size()) return error("input {} has another rank", i);
    rest[axis] = wanted[axis] = 0;
    if (rest != wanted || node.known_value(i).is_float() != node.known_value(0).is_float()) {
      return error("input {} ({}) does not fit input 0 ({})", i, to_text(part), to_text(first));
    }
    shape[axis] += part[axis];
  }
  TRY_OK(checked_count(shape, k_most_known_elements));
  std::vector<float> floats;
  std::vector<int64_t> ints;
  const int64_t outer = element_count(Shape(shape.begin(), shape.begin() + axis));
  for (int64_t o = 0; o < outer; ++o) {
    for (int i = 0; i < node.input_count(); ++i) {
      const Known& part = node.known_value(i);
      const int64_t length = element_count(part.shape) / outer;
      if (part.is_float()) {
        const auto from = part.floats->data.begin() + o * length;
        floats.insert(floats.end(), from, from + length);
      } else {
        const auto from = part.ints->begin() + o * length;
        ints.insert(ints.end(), from, from + length);
      }
    }
  }
  const int type = node.known_value(0).type;
  if (node.known_value(0).is_float())
    return node.set(0, known_floats(shape, std::move(floats), type));
  return node.set(0, known_ints(shape, std::move(ints), type));
}

Status convert_split_attribute(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", 0, x.size()));
  TRY(std::vector<int64_t> sizes, node.ints_attribute("split"));
  if (sizes.empty()) {
    TRY(sizes, equal_parts(node, x[axis]));
  }
  return split_by(node, sizes, axis);
}

Status convert_split_input(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", 0, x.size()));
  std::vector<int64_t> sizes;
  if (node.has(1)) {
    TRY(sizes, node.ints(1, "split"));
  } else {
    TRY(sizes, equal_parts(node, x[axis]));
  }
  return split_by(node, sizes, axis);
}

Status convert_slice_attributes(Node& node) {
  TRY(const std::vector<int64_t> starts, node.ints_attribute("starts"));
  TRY(const std::vector<int64_t> ends, node.ints_attribute("ends"));
  TRY(const std::vector<int64_t> axes, node.ints_attribute("axes"));
  return slice_by(node, starts, ends, axes, {});
}

Status convert_slice_inputs(Node& node) {
  TRY(const std::vector<int64_t> starts, node.ints(1, "starts"));
  TRY(const std::vector<int64_t> ends, node.ints(2, "ends"));
  std::vector<int64_t> axes, steps;
  if (node.has(3)) {
    TRY(axes, node.ints(3, "axes"));
  }
  if (node.has(4)) {
    TRY(steps, node.ints(4, "steps"));
  }
  return slice_by(node, starts, ends, axes, steps);
}

Status convert_gather(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const int axis, node.axis_attribute("axis", 0, x.size()));
  if (!node.known(1) || node.known_value(1).is_float()) {
    return error("input 1 (indices) must be integers that follow from constants and shapes");
  }
  std::vector<int64_t> indices = *node.known_value(1).ints;
  for (int64_t& i : indices) {
    if (i < -x[axis] || i >= x[axis]) {
      return error("index {} is outside axis {} of input {}", i, axis, to_text(x));
    }
    if (i < 0) i += x[axis];
  }
  if (node.known(0)) return gather_known(node, axis, x, indices);
  if (indices.empty()) return error("the result is empty");
  return gather_value(node, axis, x, indices);
}

Status convert_pad_attributes(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int64_t> pads, node.ints_attribute("pads"));
  TRY(const float value, node.float_attribute("value", 0));
  return pad_by(node, pads, all_axes(x.size()), value);
}

Status convert_pad_inputs(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int64_t> pads, node.ints(1, "pads"));
  TRY(const float value, node.number(2, "constant_value", 0));
  std::vector<int64_t> axes = all_axes(x.size());
  if (node.has(3)) {
    TRY(axes, node.ints(3, "axes"));
  }
  return pad_by(node, pads, axes, value);
}

}  // namespace emulsion
