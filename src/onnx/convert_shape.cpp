// Operators that keep the elements and change the shape or their order.
#include <algorithm>
#include <set>

#include "onnx/convert.h"

namespace emulsion {

namespace {

// ONNX's target: 0 copies the input's extent (unless allowzero), one -1 takes what is left.
Result<Shape> resolved(const Shape& x, const std::vector<int64_t>& target, bool allow_zero) {
  Shape shape = target;
  int64_t free = -1;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 0 && !allow_zero) {
      if (d >= x.size())
        return error("target {} copies extent {} of input {}", to_text(target), d, to_text(x));
      shape[d] = x[d];
    } else if (shape[d] == -1) {
      if (free >= 0) return error("target {} has more than one -1", to_text(target));
      free = static_cast<int64_t>(d);
    }
  }
  Shape fixed = shape;
  if (free >= 0) fixed.erase(fixed.begin() + free);
  TRY(const int64_t rest, checked_count(fixed, k_most_elements));
  const int64_t count = element_count(x);
  const bool fits = free < 0 ? rest == count : rest > 0 && count % rest == 0;
  if (!fits) return error("input {} does not reshape to {}", to_text(x), to_text(target));
  if (free >= 0) shape[free] = count / rest;
  return shape;
}

// A batch that is written into the target: `then` are the shapes for the file's batch, x is the
// input for the one that was asked for. The elements of one image lie together in both, so the
// batch's place in the result is where as many elements precede it as in the input.
Result<Shape> with_batch(const Shape& x_then, const Shape& x, const Shape& y_then,
                         const std::vector<int64_t>& target) {
  size_t axis = x.size();
  int changed = 0;
  for (size_t d = 0; d < x.size() && x.size() == x_then.size(); ++d) {
    if (x[d] == x_then[d]) continue;
    axis = d;
    ++changed;
  }
  const auto refuse = [&] {
    return error(
        "the file's batch is fixed in the target shape {} and cannot be told apart from other "
        "extents;"
        " export the model with a symbolic batch",
        fmt::join(target, "x"));
  };
  if (changed != 1) return refuse();
  const int64_t lead = element_count(Shape(x.begin(), x.begin() + axis));
  int64_t before = 1;
  for (size_t d = 0; d < y_then.size() && before <= lead; before *= y_then[d], ++d) {
    if (before != lead) continue;
    const bool free = d < target.size() && target[d] == -1 && y_then[d] % x_then[axis] == 0;
    if (y_then[d] != x_then[axis] && !free) continue;
    Shape y = y_then;
    y[d] = y_then[d] / x_then[axis] * x[axis];
    return y;
  }
  return refuse();
}

// What x and the result were in the import with the file's own batch, when the target is the same
// there.
struct Baked {
  Shape x, y;
};
std::optional<Baked> baked_shapes(Node& node) {
  const GraphState* baked = node.state().baked;
  if (baked == nullptr || node.known(0)) return std::nullopt;
  const auto find = [&](const std::string& name) -> const Imported* {
    const auto at = baked->names.find(name);
    return at == baked->names.end() ? nullptr : &at->second;
  };
  const Imported* x = find(node.proto().input(0));
  const Imported* target = find(node.proto().input(1));
  const Imported* y = find(node.proto().output(0));
  if (x == nullptr || x->id < 0 || y == nullptr || y->id < 0) return std::nullopt;
  if (target == nullptr || !target->known || !target->known->ints) return std::nullopt;
  if (*target->known->ints != *node.known_value(1).ints) return std::nullopt;
  return Baked{baked->network.shape(x->id), baked->network.shape(y->id)};
}

// Axes of the result, sorted.
Result<std::vector<int>> sorted_axes(const std::vector<int64_t>& given, size_t rank) {
  std::set<int> axes;
  for (const int64_t axis : given) {
    TRY(const int checked, checked_axis(axis, rank));
    if (!axes.insert(checked).second) return error("axis {} is given twice", axis);
  }
  return std::vector<int>(axes.begin(), axes.end());
}

Status finish_squeeze(Node& node, const std::vector<int64_t>& given) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int> axes, sorted_axes(given, x.size()));
  Shape shape;
  for (size_t d = 0; d < x.size(); ++d) {
    const bool named = std::binary_search(axes.begin(), axes.end(), static_cast<int>(d));
    if (named && x[d] != 1) return error("axis {} of input {} is not 1", d, to_text(x));
    if (!(named || (given.empty() && x[d] == 1))) shape.push_back(x[d]);
  }
  return node.finish_reshape(std::move(shape));
}

Status finish_unsqueeze(Node& node, const std::vector<int64_t>& given) {
  TRY(Shape shape, node.shape(0));
  TRY(const std::vector<int> axes, sorted_axes(given, shape.size() + given.size()));
  for (const int axis : axes) shape.insert(shape.begin() + axis, 1);
  return node.finish_reshape(std::move(shape));
}

}  // namespace

Status convert_reshape(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int64_t> target, node.ints(1, "shape"));
  TRY(const int64_t allow_zero, node.int_attribute("allowzero", 0));
  if (const auto baked = baked_shapes(node); baked && baked->x != x) {
    TRY(Shape shape, with_batch(baked->x, x, baked->y, target));
    return node.finish_reshape(std::move(shape));
  }
  TRY(Shape shape, resolved(x, target, allow_zero != 0));
  return node.finish_reshape(std::move(shape));
}

Status convert_flatten(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(int64_t axis, node.int_attribute("axis", 1));
  const auto rank = static_cast<int64_t>(x.size());
  if (axis < -rank || axis > rank)
    return error("axis {} is outside a tensor of rank {}", axis, rank);
  if (axis < 0) axis += rank;
  return node.finish_reshape({element_count(Shape(x.begin(), x.begin() + axis)),
                              element_count(Shape(x.begin() + axis, x.end()))});
}

Status convert_squeeze_attribute(Node& node) {
  TRY(const std::vector<int64_t> axes, node.ints_attribute("axes"));
  return finish_squeeze(node, axes);
}

Status convert_squeeze_input(Node& node) {
  if (!node.has(1)) return finish_squeeze(node, {});
  TRY(const std::vector<int64_t> axes, node.ints(1, "axes"));
  return finish_squeeze(node, axes);
}

Status convert_unsqueeze_attribute(Node& node) {
  TRY(const std::vector<int64_t> axes, node.ints_attribute("axes"));
  return finish_unsqueeze(node, axes);
}

Status convert_unsqueeze_input(Node& node) {
  TRY(const std::vector<int64_t> axes, node.ints(1, "axes"));
  return finish_unsqueeze(node, axes);
}

Status convert_transpose(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int64_t> given, node.ints_attribute("perm"));
  std::vector<int> permutation;
  for (size_t d = 0; d < x.size(); ++d) permutation.push_back(static_cast<int>(x.size() - 1 - d));
  if (!given.empty()) {
    TRY(const std::vector<int> axes, sorted_axes(given, x.size()));
    if (axes.size() != x.size()) return error("attribute 'perm' does not fit input {}", to_text(x));
    for (size_t d = 0; d < x.size(); ++d) {
      TRY(permutation[d], checked_axis(given[d], x.size()));
    }
  }
  if (!node.known(0)) {
    TRY(const ValueId value, node.value(0));
    return node.finish(Transpose{permutation}, {value});
  }
  const std::vector<int64_t> own = row_major_strides(x);
  Shape shape;
  std::vector<int64_t> strides;
  for (const int d : permutation) {
    shape.push_back(x[d]);
    strides.push_back(own[d]);
  }
  return node.set(0, take_strided(node.known_value(0), shape, strides));
}

Status convert_expand(Node& node) {
  TRY(const Shape x, node.shape(0));
  TRY(const Shape target, node.ints(1, "shape"));
  TRY_OK(checked_count(target, k_most_elements));
  TRY(const Shape shape, broadcast_shape(x, target));
  if (shape == x) return node.forward(0);
  if (!node.known(0)) {
    return error(
        "a value computed at run time cannot be expanded from {} to {}; operators that"
        " broadcast need no Expand",
        to_text(x), to_text(shape));
  }
  TRY(Known expanded, broadcast_to(node.known_value(0), shape));
  return node.set(0, std::move(expanded));
}

}  // namespace emulsion
