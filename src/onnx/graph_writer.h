// Writes the nodes and tensors of an ONNX graph, each under a name of its own. Private to this
// folder.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "network/network.h"
#include "onnx/proto.h"

namespace emulsion {

void set_int(onnx::NodeProto& node, const char* key, int64_t value);
void set_float(onnx::NodeProto& node, const char* key, float value);
void set_string(onnx::NodeProto& node, const char* key, const std::string& value);
template <class List>
void set_ints(onnx::NodeProto& node, const char* key, const List& values) {
  auto* a = node.add_attribute();
  a->set_name(key);
  a->set_type(onnx::AttributeProto::INTS);
  for (const auto value : values) a->add_ints(value);
}

class GraphWriter {
 public:
  // Both outlive the writer.
  GraphWriter(const Network& network, onnx::GraphProto& graph);

  // Around all layers.
  void declare_inputs();
  void declare_outputs();
  // The layer that is written next.
  void begin(const Layer& layer) { layer_ = &layer; }

  // Of the layer: names of its inputs and its output, and their shapes.
  const std::string& input(size_t i = 0) const { return names_[layer_->inputs[i]]; }
  std::vector<std::string> inputs() const;
  const std::string& output() const { return names_[layer_->output]; }
  const Shape& input_shape(size_t i = 0) const { return network_.shape(layer_->inputs[i]); }
  const Shape& output_shape() const { return network_.shape(layer_->output); }

  // A node of one output.
  onnx::NodeProto& add(const char* op, const std::vector<std::string>& inputs);
  // The one that carries the layer's name.
  onnx::NodeProto& add_main(const char* op, const std::vector<std::string>& inputs);
  // x (op) a number; the name of the result.
  std::string arithmetic(const char* op, const std::string& x, float number);
  // The last node's output is the layer's.
  Status finish();

  // The name of a constant of the layer, written once for all that share it, with another shape of
  // as many elements if one is given.
  Result<std::string> constant_name(const char* what, const Constant& value, const Shape& shape);
  Result<std::string> constant_name(const char* what, const Constant& value);
  // Names of tensors that the layer needs.
  std::string floats(const char* what, const Shape& shape, const std::vector<float>& values);
  std::string ints(const char* what, const std::vector<int64_t>& values);
  void write_floats(const std::string& name, const Shape& shape, const std::vector<float>& values);

 private:
  std::string fresh(const std::string& hint);
  std::string fresh_node(const std::string& hint);
  void name_outputs();
  void declare(onnx::ValueInfoProto& info, ValueId id, const std::string& name);

  const Network& network_;
  onnx::GraphProto& graph_;
  const Layer* layer_ = nullptr;
  std::vector<std::string> names_;         // by ValueId
  std::vector<std::string> output_names_;  // in the order of network.outputs
  std::set<std::string> taken_, node_names_;
  std::map<std::pair<const Tensor*, Shape>, std::string> written_;
};

}  // namespace emulsion
