// Elementwise arithmetic and reductions, on values and, for shape arithmetic, on known integers.
#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "onnx/convert.h"

namespace emulsion {

namespace {

// Two's complement, as ONNX's integer operators wrap.
Result<int64_t> apply(Binary::Kind kind, int64_t a, int64_t b) {
  const auto x = static_cast<uint64_t>(a), y = static_cast<uint64_t>(b);
  switch (kind) {
    case Binary::Kind::add:
      return static_cast<int64_t>(x + y);
    case Binary::Kind::sub:
      return static_cast<int64_t>(x - y);
    case Binary::Kind::mul:
      return static_cast<int64_t>(x * y);
    case Binary::Kind::div:
      break;
    case Binary::Kind::pow:
      return error("powers of integers are not supported");
  }
  if (b == 0) return error("integer division by zero");
  if (b == -1) return static_cast<int64_t>(0 - x);
  return a / b;
}

Status fold_integers(Node& node, Binary::Kind kind) {
  const Known &a = node.known_value(0), &b = node.known_value(1);
  TRY(const Shape shape, broadcast_shape(a.shape, b.shape));
  TRY(const Known x, broadcast_to(a, shape));
  TRY(const Known y, broadcast_to(b, shape));
  std::vector<int64_t> values;
  for (size_t i = 0; i < x.ints->size(); ++i) {
    TRY(const int64_t value, apply(kind, (*x.ints)[i], (*y.ints)[i]));
    values.push_back(value);
  }
  return node.set(0, cast(known_ints(shape, std::move(values)), a.type));
}

Status convert_binary(Node& node, Binary::Kind kind) {
  if (node.known(0) && node.known(1) && !node.known_value(0).is_float() &&
      !node.known_value(1).is_float()) {
    return fold_integers(node, kind);
  }
  TRY(const ValueId a, node.value(0));
  TRY(const ValueId b, node.value(1));
  return node.finish(Binary{kind, {}}, {a, b});
}

// The axes to reduce, sorted; all of them where none are given.
Result<std::vector<int>> reduced_axes(const std::vector<int64_t>& given, size_t rank) {
  std::vector<int> axes;
  for (const int64_t axis : given) {
    TRY(const int checked, checked_axis(axis, rank));
    axes.push_back(checked);
  }
  if (given.empty()) {
    for (size_t d = 0; d < rank; ++d) axes.push_back(static_cast<int>(d));
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return error("an axis is given twice");
  }
  return axes;
}

using FinishReduction = Status (*)(Node& node, const std::vector<int>& axes, bool keep);

Status reduce_by_attribute(Node& node, FinishReduction finish) {
  TRY(const Shape x, node.shape(0));
  TRY(const std::vector<int64_t> given, node.ints_attribute("axes"));
  TRY(const std::vector<int> axes, reduced_axes(given, x.size()));
  TRY(const int64_t keep, node.int_attribute("keepdims", 1));
  return finish(node, axes, keep != 0);
}

Status reduce_by_input(Node& node, FinishReduction finish) {
  TRY(const Shape x, node.shape(0));
  std::vector<int64_t> given;
  if (node.has(1)) {
    TRY(given, node.ints(1, "axes"));
  }
  TRY(const int64_t nothing, node.int_attribute("noop_with_empty_axes", 0));
  if (given.empty() && nothing != 0) return node.forward(0);
  TRY(const std::vector<int> axes, reduced_axes(given, x.size()));
  TRY(const int64_t keep, node.int_attribute("keepdims", 1));
  return finish(node, axes, keep != 0);
}

Status finish_mean(Node& node, const std::vector<int>& axes, bool keep) {
  TRY(const ValueId x, node.value(0));
  return node.finish(ReduceMean{axes, keep}, {x});
}

Status finish_product(Node& node, const std::vector<int>& axes, bool keep) {
  if (!node.known(0)) return error("only products of constants and shapes are supported");
  const Known& x = node.known_value(0);
  Shape kept = x.shape, dropped;
  for (const int axis : axes) kept[axis] = 1;
  for (size_t d = 0; d < x.shape.size(); ++d) {
    if (std::find(axes.begin(), axes.end(), static_cast<int>(d)) == axes.end()) {
      dropped.push_back(x.shape[d]);
    }
  }
  std::vector<int64_t> strides = row_major_strides(kept);
  for (const int axis : axes) strides[axis] = 0;
  const std::vector<int64_t> into = strided_indices(x.shape, strides);
  const Shape& shape = keep ? kept : dropped;
  const int64_t count = element_count(kept);
  if (x.is_float()) {
    std::vector<float> values(count, 1);
    for (size_t i = 0; i < into.size(); ++i) values[into[i]] *= x.floats->data[i];
    return node.set(0, known_floats(shape, std::move(values), x.type));
  }
  std::vector<int64_t> values(count, 1);
  for (size_t i = 0; i < into.size(); ++i) {
    TRY(values[into[i]], apply(Binary::Kind::mul, values[into[i]], (*x.ints)[i]));
  }
  return node.set(0, known_ints(shape, std::move(values), x.type));
}

Status fold_floats(Node& node, float (*f)(float)) {
  if (!node.known(0)) return error("only constants and shapes are supported");
  const Known& x = node.known_value(0);
  if (!x.is_float()) return node.forward(0);
  std::vector<float> values = x.floats->data;
  for (float& v : values) v = f(v);
  return node.set(0, known_floats(x.shape, std::move(values), x.type));
}

}  // namespace

Status convert_add(Node& node) {
  return convert_binary(node, Binary::Kind::add);
}
Status convert_sub(Node& node) {
  return convert_binary(node, Binary::Kind::sub);
}
Status convert_mul(Node& node) {
  return convert_binary(node, Binary::Kind::mul);
}
Status convert_div(Node& node) {
  return convert_binary(node, Binary::Kind::div);
}

// An exponent that is one known number makes an activation.
Status convert_pow(Node& node) {
  TRY(const Shape x, node.shape(0));
  const bool one = node.known(1) && element_count(node.known_value(1).shape) == 1 &&
                   node.known_value(1).shape.size() <= x.size();
  if (!one) return convert_binary(node, Binary::Kind::pow);
  const Known exponent = cast(node.known_value(1), onnx::TensorProto::FLOAT);
  const float alpha = exponent.floats->data[0];
  if (!std::isfinite(alpha)) return error("the exponent is {}", alpha);
  TRY(const ValueId base, node.value(0));
  if (alpha == 0.5f) return node.finish(Activation{.kind = Activation::Kind::sqrt}, {base});
  return node.finish(Activation{.kind = Activation::Kind::power, .alpha = alpha}, {base});
}

Status convert_sum(Node& node) {
  if (node.input_count() == 1) return node.forward(0);
  TRY(ValueId sum, node.value(0));
  for (int i = 1; i < node.input_count(); ++i) {
    TRY(const ValueId next, node.value(i));
    TRY(sum, node.emit(Binary{Binary::Kind::add, {}}, {sum, next}));
  }
  return node.set(0, sum);
}

Status convert_reduce_mean_attribute(Node& node) {
  return reduce_by_attribute(node, finish_mean);
}
Status convert_reduce_mean_input(Node& node) {
  return reduce_by_input(node, finish_mean);
}
Status convert_reduce_prod_attribute(Node& node) {
  return reduce_by_attribute(node, finish_product);
}
Status convert_reduce_prod_input(Node& node) {
  return reduce_by_input(node, finish_product);
}

Status convert_floor(Node& node) {
  return fold_floats(node, std::floor);
}
Status convert_ceil(Node& node) {
  return fold_floats(node, std::ceil);
}

Status convert_equal(Node& node) {
  if (!node.known(0) || !node.known(1)) return error("only constants and shapes are supported");
  const Known &a = node.known_value(0), &b = node.known_value(1);
  if (a.is_float() != b.is_float()) return error("the operands have different element types");
  TRY(const Shape shape, broadcast_shape(a.shape, b.shape));
  TRY(const Known x, broadcast_to(a, shape));
  TRY(const Known y, broadcast_to(b, shape));
  std::vector<int64_t> values;
  for (int64_t i = 0; i < element_count(shape); ++i) {
    values.push_back(x.is_float() ? x.floats->data[i] == y.floats->data[i]
                                  : (*x.ints)[i] == (*y.ints)[i]);
  }
  return node.set(0, known_ints(shape, std::move(values), onnx::TensorProto::BOOL));
}

Status convert_where(Node& node) {
  if (!node.known(0) || !node.known(1) || !node.known(2)) {
    return error("only constants and shapes are supported");
  }
  const Known &c = node.known_value(0), &a = node.known_value(1), &b = node.known_value(2);
  if (c.is_float() || a.is_float() != b.is_float()) {
    return error("the operands have different element types");
  }
  TRY(const Shape pair, broadcast_shape(a.shape, b.shape));
  TRY(const Shape shape, broadcast_shape(c.shape, pair));
  TRY(const Known condition, broadcast_to(c, shape));
  TRY(const Known x, broadcast_to(a, shape));
  TRY(const Known y, broadcast_to(b, shape));
  std::vector<int64_t> ints;
  std::vector<float> floats;
  for (int64_t i = 0; i < element_count(shape); ++i) {
    const Known& from = (*condition.ints)[i] != 0 ? x : y;
    if (x.is_float()) {
      floats.push_back(from.floats->data[i]);
    } else {
      ints.push_back((*from.ints)[i]);
    }
  }
  if (x.is_float()) return node.set(0, known_floats(shape, std::move(floats), a.type));
  return node.set(0, known_ints(shape, std::move(ints), a.type));
}

}  // namespace emulsion
