#include "onnx/graph_writer.h"

namespace emulsion {

void set_int(onnx::NodeProto& node, const char* key, int64_t value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::INT);
  a->set_i(value);
}

void set_float(onnx::NodeProto& node, const char* key, float value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::FLOAT);
  a->set_f(value);
}

void set_string(onnx::NodeProto& node, const char* key, const std::string& value) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::STRING);
  a->set_s(value);
}

GraphWriter::GraphWriter(const Network& network, onnx::GraphProto& graph)
    : network_(network), graph_(graph) {
  for (const Value& value : network_.values) {
    names_.push_back(fresh(value.name.empty() ? "value" : value.name));
  }
  name_outputs();
}

void GraphWriter::declare_inputs() {
  for (const ValueId id : network_.inputs) declare(*graph_.add_input(), id, names_[id]);
}

std::vector<std::string> GraphWriter::inputs() const {
  std::vector<std::string> names;
  for (const ValueId id : layer_->inputs) names.push_back(names_[id]);
  return names;
}

std::string GraphWriter::fresh(const std::string& hint) {
  std::string name = hint;
  for (int i = 1; !taken_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
  return name;
}

void GraphWriter::declare(onnx::ValueInfoProto& info, ValueId id, const std::string& name) {
  info.set_name(name);
  auto* type = info.mutable_type()->mutable_tensor_type();
  type->set_elem_type(onnx::TensorProto::FLOAT);
  type->mutable_shape();
  for (const int64_t extent : network_.shape(id)) {
    type->mutable_shape()->add_dim()->set_dim_value(extent);
  }
}

// An output that is an input, a constant or another output goes through an Identity of its own. A
// constant gives up its name for it, so that the output keeps the name that callers know.
void GraphWriter::name_outputs() {
  std::set<ValueId> direct, literals;
  for (const Layer& layer : network_.layers) {
    (std::holds_alternative<Literal>(layer.op) ? literals : direct).insert(layer.output);
  }
  for (const ValueId id : network_.outputs) {
    std::string name = names_[id];
    if (literals.erase(id) > 0) {
      names_[id] = fresh(name + "_value");
    } else if (direct.erase(id) == 0) {
      name = fresh(name + "_out");
    }
    output_names_.push_back(name);
  }
}

void GraphWriter::declare_outputs() {
  for (size_t i = 0; i < network_.outputs.size(); ++i) {
    const ValueId id = network_.outputs[i];
    const std::string& name = output_names_[i];
    if (name != names_[id]) {
      auto* node = graph_.add_node();
      node->set_op_type("Identity");
      node->set_name(fresh_node(name));
      node->add_input(names_[id]);
      node->add_output(name);
    }
    declare(*graph_.add_output(), id, name);
  }
}

std::string GraphWriter::fresh_node(const std::string& hint) {
  std::string name = hint.empty() ? "layer" : hint;
  for (int i = 1; !node_names_.insert(name).second; ++i) name = fmt::format("{}_{}", hint, i);
  return name;
}

onnx::NodeProto& GraphWriter::add(const char* op, const std::vector<std::string>& inputs) {
  auto* node = graph_.add_node();
  node->set_op_type(op);
  for (const std::string& input : inputs) node->add_input(input);
  node->set_name(fresh_node(layer_->name + "/" + op));
  node->add_output(fresh(names_[layer_->output] + "/" + op));
  return *node;
}

onnx::NodeProto& GraphWriter::add_main(const char* op, const std::vector<std::string>& inputs) {
  onnx::NodeProto& node = add(op, inputs);
  node_names_.erase(node.name());
  node.set_name(fresh_node(layer_->name));
  return node;
}

Status GraphWriter::finish() {
  auto* node = graph_.mutable_node(graph_.node_size() - 1);
  taken_.erase(node->output(0));
  node->set_output(0, names_[layer_->output]);
  return ok();
}

Result<std::string> GraphWriter::constant_name(const char* what, const Constant& value,
                                               const Shape& shape) {
  if (value->abstract()) return error("its {} has no data; weights are needed to export", what);
  const auto key = std::pair(value.get(), shape);
  if (const auto at = written_.find(key); at != written_.end()) return at->second;
  const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
  write_floats(name, shape, value->data);
  written_[key] = name;
  return name;
}

Result<std::string> GraphWriter::constant_name(const char* what, const Constant& value) {
  return constant_name(what, value, value->shape);
}

std::string GraphWriter::floats(const char* what, const Shape& shape,
                                const std::vector<float>& values) {
  const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
  write_floats(name, shape, values);
  return name;
}

void GraphWriter::write_floats(const std::string& name, const Shape& shape,
                               const std::vector<float>& values) {
  auto* tensor = graph_.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::FLOAT);
  for (const int64_t extent : shape) tensor->add_dims(extent);
  tensor->set_raw_data(values.data(), values.size() * sizeof(float));
}

std::string GraphWriter::ints(const char* what, const std::vector<int64_t>& values) {
  const std::string name = fresh(fmt::format("{}.{}", layer_->name, what));
  auto* tensor = graph_.add_initializer();
  tensor->set_name(name);
  tensor->set_data_type(onnx::TensorProto::INT64);
  tensor->add_dims(static_cast<int64_t>(values.size()));
  tensor->set_raw_data(values.data(), values.size() * sizeof(int64_t));
  return name;
}

std::string GraphWriter::arithmetic(const char* op, const std::string& x, float number) {
  const std::string name = floats("number", {}, {number});
  return add(op, {x, name}).output(0);
}

}  // namespace emulsion
