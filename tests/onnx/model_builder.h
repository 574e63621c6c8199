// Small ONNX models for tests, as their protobuf messages.
#pragma once

#include <fmt/format.h>

#include <string>
#include <vector>

#include "onnx/proto.h"

namespace emulsion {

class ModelBuilder {
 public:
  explicit ModelBuilder(int opset = 13) {
    model.set_ir_version(8);
    model.add_opset_import()->set_version(opset);
    graph().set_name("test");
  }

  onnx::GraphProto& graph() { return *model.mutable_graph(); }

  // A negative extent is symbolic.
  onnx::ValueInfoProto& input(const std::string& name, const std::vector<int64_t>& shape) {
    return describe(*graph().add_input(), name, shape);
  }
  void output(const std::string& name) {
    auto* info = graph().add_output();
    info->set_name(name);
    info->mutable_type()->mutable_tensor_type()->set_elem_type(onnx::TensorProto::FLOAT);
  }

  onnx::TensorProto& floats(const std::string& name, const std::vector<int64_t>& shape,
                            const std::vector<float>& values) {
    auto& tensor = tensor_of(name, shape, onnx::TensorProto::FLOAT);
    tensor.set_raw_data(values.data(), values.size() * sizeof(float));
    return tensor;
  }
  // All elements alike.
  onnx::TensorProto& filled(const std::string& name, const std::vector<int64_t>& shape,
                            float value) {
    size_t count = 1;
    for (const int64_t extent : shape) count *= static_cast<size_t>(extent);
    return floats(name, shape, std::vector<float>(count, value));
  }
  onnx::TensorProto& ints(const std::string& name, const std::vector<int64_t>& values) {
    auto& tensor = tensor_of(name, {static_cast<int64_t>(values.size())}, onnx::TensorProto::INT64);
    tensor.set_raw_data(values.data(), values.size() * sizeof(int64_t));
    return tensor;
  }

  onnx::NodeProto& node(const std::string& op, const std::vector<std::string>& inputs,
                        const std::vector<std::string>& outputs) {
    auto* node = graph().add_node();
    node->set_op_type(op);
    node->set_name(op + "_" + outputs[0]);
    for (const std::string& input : inputs) node->add_input(input);
    for (const std::string& output : outputs) node->add_output(output);
    return *node;
  }

  std::string bytes() const { return model.SerializeAsString(); }

  onnx::ModelProto model;

 private:
  onnx::TensorProto& tensor_of(const std::string& name, const std::vector<int64_t>& shape,
                               int type) {
    auto* tensor = graph().add_initializer();
    tensor->set_name(name);
    tensor->set_data_type(type);
    for (const int64_t extent : shape) tensor->add_dims(extent);
    return *tensor;
  }

  static onnx::ValueInfoProto& describe(onnx::ValueInfoProto& info, const std::string& name,
                                        const std::vector<int64_t>& shape) {
    info.set_name(name);
    auto* type = info.mutable_type()->mutable_tensor_type();
    type->set_elem_type(onnx::TensorProto::FLOAT);
    for (const int64_t extent : shape) {
      auto* dim = type->mutable_shape()->add_dim();
      if (extent < 0) {
        dim->set_dim_param(fmt::format("n{}", -extent));
      } else {
        dim->set_dim_value(extent);
      }
    }
    return info;
  }
};

inline onnx::AttributeProto& set_attribute(onnx::NodeProto& node, const std::string& key,
                                           onnx::AttributeProto::AttributeType type) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(type);
  return *a;
}
inline void set_int(onnx::NodeProto& node, const std::string& key, int64_t value) {
  set_attribute(node, key, onnx::AttributeProto::INT).set_i(value);
}
inline void set_float(onnx::NodeProto& node, const std::string& key, float value) {
  set_attribute(node, key, onnx::AttributeProto::FLOAT).set_f(value);
}
inline void set_string(onnx::NodeProto& node, const std::string& key, const std::string& value) {
  set_attribute(node, key, onnx::AttributeProto::STRING).set_s(value);
}
inline void set_ints(onnx::NodeProto& node, const std::string& key,
                     const std::vector<int64_t>& values) {
  auto& a = set_attribute(node, key, onnx::AttributeProto::INTS);
  for (const int64_t value : values) a.add_ints(value);
}
inline void set_floats(onnx::NodeProto& node, const std::string& key,
                       const std::vector<float>& values) {
  auto& a = set_attribute(node, key, onnx::AttributeProto::FLOATS);
  for (const float value : values) a.add_floats(value);
}

}  // namespace emulsion
