// Constants, shape arithmetic's sources, and operators that vanish.
#include <algorithm>
#include <cmath>

#include "onnx/convert.h"
#include "onnx/load_tensor.h"

namespace emulsion {

Status convert_constant(Node& node) {
  if (const auto* a = node.attribute("value")) {
    auto loaded = load_tensor(a->t(), node.state().folder);
    if (!loaded.ok()) return loaded.error().in("attribute 'value'");
    return node.set(0, std::move(loaded).value());
  }
  if (const auto* a = node.attribute("value_float")) return node.set(0, known_floats({}, {a->f()}));
  if (const auto* a = node.attribute("value_floats")) {
    return node.set(0, known_floats({a->floats_size()}, {a->floats().begin(), a->floats().end()}));
  }
  if (const auto* a = node.attribute("value_int")) return node.set(0, known_ints({}, {a->i()}));
  if (const auto* a = node.attribute("value_ints")) {
    return node.set(0, known_ints({a->ints_size()}, {a->ints().begin(), a->ints().end()}));
  }
  return error("it has none of the attributes value, value_float(s), value_int(s)");
}

Status convert_constant_of_shape(Node& node) {
  TRY(const Shape shape, node.ints(0, "shape"));
  TRY_OK(checked_count(shape, k_most_made_elements));
  Known one = known_floats({1}, {0.0f});
  if (const auto* a = node.attribute("value")) {
    auto loaded = load_tensor(a->t(), node.state().folder);
    if (!loaded.ok()) return loaded.error().in("attribute 'value'");
    one = std::move(loaded).value();
    if (element_count(one.shape) != 1) return error("attribute 'value' must have one element");
    one = reshaped(one, {1});
  }
  const std::vector<int64_t> index(element_count(shape), 0);
  return node.set(0, take(one, shape, index));
}

Status convert_range(Node& node) {
  for (int i = 0; i < 3; ++i) {
    if (!node.known(i) || element_count(node.known_value(i).shape) != 1 ||
        node.known_value(i).is_float() != node.known_value(0).is_float()) {
      return error("input {} must be one number that follows from constants and shapes", i);
    }
  }
  const int type = node.known_value(0).type;
  const auto number = [&](int i) {
    const Known& k = node.known_value(i);
    return k.is_float() ? static_cast<double>(k.floats->data[0])
                        : static_cast<double>((*k.ints)[0]);
  };
  const double start = number(0), step = number(2);
  const double count = std::max(0.0, std::ceil((number(1) - start) / step));
  if (!(step != 0) || !(count <= static_cast<double>(k_most_made_elements))) {
    return error("start, limit and delta make no list of numbers");
  }
  const auto n = static_cast<int64_t>(count);
  if (node.known_value(0).is_float()) {
    std::vector<float> values;
    for (int64_t i = 0; i < n; ++i) {
      values.push_back(static_cast<float>(start + static_cast<double>(i) * step));
    }
    return node.set(0, known_floats({n}, std::move(values), type));
  }
  const auto first = static_cast<uint64_t>((*node.known_value(0).ints)[0]);
  const auto delta = static_cast<uint64_t>((*node.known_value(2).ints)[0]);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < n; ++i) {
    values.push_back(static_cast<int64_t>(first + static_cast<uint64_t>(i) * delta));
  }
  return node.set(0, known_ints({n}, std::move(values), type));
}

Status convert_shape(Node& node) {
  TRY(const Shape x, node.shape(0));
  const auto rank = static_cast<int64_t>(x.size());
  TRY(int64_t start, node.int_attribute("start", 0));
  TRY(int64_t end, node.int_attribute("end", rank));
  start = std::clamp(start < 0 ? start + rank : start, int64_t{0}, rank);
  end = std::clamp(end < 0 ? end + rank : end, start, rank);
  return node.set(0, known_ints({end - start}, {x.begin() + start, x.begin() + end}));
}

Status convert_size(Node& node) {
  TRY(const Shape x, node.shape(0));
  return node.set(0, known_ints({}, {element_count(x)}));
}

Status convert_cast(Node& node) {
  TRY(const int64_t to, node.int_attribute("to", 0));
  TRY(const int type, checked_int(to, 0, 1000, "attribute 'to'"));
  if (!node.known(0)) {
    if (type == onnx::TensorProto::FLOAT) return node.forward(0);
    return error("a value computed at run time cannot become {}; only float32 is supported",
                 type_name(type));
  }
  const bool half = type == onnx::TensorProto::FLOAT16 || type == onnx::TensorProto::BFLOAT16;
  if (half || (!is_float_type(type) && !is_integer_type(type))) {
    return error("a cast to element type {} is not supported; to float32 and integers it is",
                 type_name(type));
  }
  return node.set(0, cast(node.known_value(0), type));
}

Status convert_identity(Node& node) {
  return node.forward(0);
}

Status convert_dropout(Node& node) {
  if (node.output_used(1)) return error("its Mask output is used; only inference is supported");
  if (node.has(2)) {
    TRY(const std::vector<int64_t> training, node.ints(2, "training_mode"));
    if (training.size() != 1 || training[0] != 0) {
      return error("input 2 (training_mode) is set; only inference is supported");
    }
  }
  return node.forward(0);
}

}  // namespace emulsion
