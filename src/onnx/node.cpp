#include "onnx/node.h"

#include "onnx/load_tensor.h"

namespace emulsion {

Result<Imported*> GraphState::find(const std::string& name) {
  if (const auto at = names.find(name); at != names.end()) return &at->second;
  const auto at = initialisers.find(name);
  if (at == initialisers.end()) {
    return error("'{}' is neither an input, an initialiser nor any node's output", name);
  }
  auto loaded = load_tensor(*at->second, folder);
  if (!loaded.ok()) return loaded.error().in(fmt::format("initialiser '{}'", name));
  Imported imported;
  imported.known = std::move(loaded).value();
  return &names.emplace(name, std::move(imported)).first->second;
}

namespace {

std::string fresh_name(const std::string& hint, std::set<std::string, std::less<>>& taken) {
  std::string name = hint;
  for (int i = 1; !taken.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
  return name;
}

}  // namespace

std::string GraphState::fresh_value_name(const std::string& hint) {
  return fresh_name(hint, taken);
}

std::string GraphState::fresh_layer_name(const std::string& hint) {
  return fresh_name(hint, layer_names);
}

Result<int> checked_axis(int64_t axis, size_t rank) {
  const int64_t r = static_cast<int64_t>(rank);
  if (axis < -r || axis >= r) return error("axis {} is outside a tensor of rank {}", axis, rank);
  return static_cast<int>(axis < 0 ? axis + r : axis);
}

Result<int> checked_int(int64_t value, int64_t least, int64_t most, const char* what) {
  if (value < least || value > most) {
    return error("{} {} is not in [{}, {}]", what, value, least, most);
  }
  return static_cast<int>(value);
}

Node::Node(const onnx::NodeProto& proto, int opset, GraphState& state)
    : proto_(proto),
      opset_(opset),
      state_(state),
      first_layer_(state.network.layers.size()),
      first_value_(state.network.values.size()) {}

Status Node::resolve() {
  for (const std::string& input : proto_.input()) {
    if (input.empty()) {
      inputs_.push_back(nullptr);
      continue;
    }
    TRY(Imported * found, state_.find(input));
    inputs_.push_back(found);
  }
  return ok();
}

std::string Node::name() const {
  if (!proto_.name().empty()) return proto_.name();
  return proto_.output_size() > 0 ? proto_.output(0) : proto_.op_type();
}

bool Node::all_known() const {
  bool any = false;
  for (int i = 0; i < input_count(); ++i) {
    if (!has(i)) continue;
    if (!known(i)) return false;
    any = true;
  }
  return any;
}

Result<Shape> Node::shape(int i) const {
  if (!has(i)) return error("input {} is missing", i);
  return known(i) ? known_value(i).shape : state_.network.shape(inputs_[i]->id);
}

Result<ValueId> Node::value(int i) {
  if (!has(i)) return error("input {} is missing", i);
  Imported& input = *inputs_[i];
  if (input.id >= 0) return input.id;
  const Known& known = *input.known;
  if (known.type != onnx::TensorProto::FLOAT) {
    return error("input {} ('{}') is {}; only float32 is supported at run time", i, proto_.input(i),
                 type_name(known.type));
  }
  if (element_count(known.shape) == 0) return error("input {} is empty", i);
  input.id =
      state_.network.add_layer(state_.fresh_layer_name(proto_.input(i)), Literal{known.floats}, {});
  state_.network.values[input.id].name = proto_.input(i);
  return input.id;
}

Result<Constant> Node::floats(int i, const char* what) const {
  if (!has(i)) return error("input {} ({}) is missing", i, what);
  if (!known(i)) {
    return error("input {} ({}) is computed at run time; it must be a constant or an initialiser",
                 i, what);
  }
  const Known& known = known_value(i);
  if (known.type != onnx::TensorProto::FLOAT) {
    return error("input {} ({}) is {}; only float32 is supported", i, what, type_name(known.type));
  }
  return known.floats;
}

Result<std::vector<int64_t>> Node::ints(int i, const char* what) const {
  if (!has(i)) return error("input {} ({}) is missing", i, what);
  if (!known(i)) {
    return error(
        "input {} ({}) depends on data at run time; it must follow from constants and shapes", i,
        what);
  }
  const Known& known = known_value(i);
  if (known.is_float()) {
    return error("input {} ({}) is {}; integers are wanted", i, what, type_name(known.type));
  }
  if (known.shape.size() > 1) {
    return error("input {} ({}) has rank {}; a list is wanted", i, what, known.shape.size());
  }
  return *known.ints;
}

Result<float> Node::number(int i, const char* what, float otherwise) const {
  if (!has(i)) return otherwise;
  TRY(const Constant values, floats(i, what));
  if (values->data.size() != 1) {
    return error("input {} ({}) has {} elements; one is wanted", i, what, values->data.size());
  }
  return values->data[0];
}

const onnx::AttributeProto* Node::attribute(const char* key) const {
  for (const auto& a : proto_.attribute()) {
    if (a.name() == key) return &a;
  }
  return nullptr;
}

namespace {

Status check_type(const onnx::AttributeProto& a, onnx::AttributeProto::AttributeType wanted) {
  // Very old writers leave the type out.
  if (a.type() == wanted || a.type() == onnx::AttributeProto::UNDEFINED) return ok();
  return error("attribute '{}' is {}; {} is wanted", a.name(),
               onnx::AttributeProto::AttributeType_Name(a.type()),
               onnx::AttributeProto::AttributeType_Name(wanted));
}

}  // namespace

Result<int64_t> Node::int_attribute(const char* key, int64_t otherwise) const {
  const auto* a = attribute(key);
  if (a == nullptr) return otherwise;
  TRY_OK(check_type(*a, onnx::AttributeProto::INT));
  return static_cast<int64_t>(a->i());
}

Result<float> Node::float_attribute(const char* key, float otherwise) const {
  const auto* a = attribute(key);
  if (a == nullptr) return otherwise;
  TRY_OK(check_type(*a, onnx::AttributeProto::FLOAT));
  return a->f();
}

Result<std::string> Node::string_attribute(const char* key, const std::string& otherwise) const {
  const auto* a = attribute(key);
  if (a == nullptr) return otherwise;
  TRY_OK(check_type(*a, onnx::AttributeProto::STRING));
  return a->s();
}

Result<std::vector<int64_t>> Node::ints_attribute(const char* key,
                                                  std::vector<int64_t> otherwise) const {
  const auto* a = attribute(key);
  if (a == nullptr) return otherwise;
  TRY_OK(check_type(*a, onnx::AttributeProto::INTS));
  return std::vector<int64_t>(a->ints().begin(), a->ints().end());
}

Result<int> Node::axis_attribute(const char* key, int64_t otherwise, size_t rank) const {
  TRY(const int64_t axis, int_attribute(key, otherwise));
  return checked_axis(axis, rank);
}

bool Node::output_used(int i) const {
  return i < output_count() && !proto_.output(i).empty() && state_.read.contains(proto_.output(i));
}

Result<ValueId> Node::emit(Op op, const std::vector<ValueId>& inputs) {
  std::vector<Shape> shapes;
  for (const ValueId id : inputs) shapes.push_back(state_.network.shape(id));
  TRY(const Shape shape, infer_shape(op, shapes));
  TRY(const int64_t count, checked_count(shape, k_most_elements));
  if (count == 0) return error("the result is empty ({})", to_text(shape));
  const ValueId id =
      state_.network.add_layer(state_.fresh_layer_name(name()), std::move(op), inputs);
  state_.network.values[id].name = state_.fresh_value_name(proto_.output(0));
  return id;
}

Result<ValueId> Node::literal(Constant value) {
  return emit(Literal{std::move(value)}, {});
}

Status Node::set(int output, Imported result) {
  if (output >= output_count() || proto_.output(output).empty()) return ok();
  const std::string& output_name = proto_.output(output);
  // The name is in `taken` already: it belongs to this output.
  if (result.id >= static_cast<ValueId>(first_value_)) {
    state_.network.values[result.id].name = output_name;
  }
  state_.names.insert_or_assign(output_name, std::move(result));
  return ok();
}

Status Node::set(int output, ValueId id) {
  Imported result;
  result.id = id;
  return set(output, std::move(result));
}

Status Node::set(int output, Known known) {
  state_.made_elements += element_count(known.shape);
  if (state_.made_elements > k_most_known_in_all) {
    return error("the constants that follow from others have more than {} elements in all",
                 k_most_known_in_all);
  }
  Imported result;
  result.known = std::move(known);
  return set(output, std::move(result));
}

Status Node::finish(Op op, const std::vector<ValueId>& inputs) {
  TRY(const ValueId id, emit(std::move(op), inputs));
  return set(0, id);
}

Status Node::forward(int i) {
  if (!has(i)) return error("input {} is missing", i);
  return set(0, *inputs_[i]);
}

Status Node::finish_reshape(Shape shape) {
  if (known(0)) return set(0, reshaped(known_value(0), std::move(shape)));
  TRY(const ValueId x, value(0));
  return finish(Reshape{std::move(shape)}, {x});
}

}  // namespace emulsion
