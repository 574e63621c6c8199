// One ONNX node as the convert functions see it: its inputs (values or known tensors), its
// attributes, and the layers and known tensors it turns into. Private to this folder.
#pragma once

#include "onnx/graph_state.h"

namespace emulsion {

class Node {
 public:
  Node(const onnx::NodeProto& proto, int opset, GraphState& state);
  // Looks the inputs up.
  Status resolve();

  const std::string& op() const { return proto_.op_type(); }
  int opset() const { return opset_; }
  // The node's name, or its first output's where it has none.
  std::string name() const;

  // Inputs. An input that is left out (optional, or past the end) is not there.
  int input_count() const { return static_cast<int>(inputs_.size()); }
  bool has(int i) const { return i < input_count() && inputs_[i] != nullptr; }
  bool known(int i) const { return has(i) && inputs_[i]->known.has_value(); }
  bool all_known() const;  // and there is at least one
  const Known& known_value(int i) const { return *inputs_[i]->known; }
  Result<Shape> shape(int i) const;
  // As a value of the network; a known float tensor becomes a Literal layer.
  Result<ValueId> value(int i);
  // As float32 constants. `what` names the input in errors ("weight").
  Result<Constant> floats(int i, const char* what) const;
  Result<std::vector<int64_t>> ints(int i, const char* what) const;
  // A single number, or `otherwise` when the input is not there.
  Result<float> number(int i, const char* what, float otherwise) const;

  // Attributes, or `otherwise` when the node does not have them.
  bool has_attribute(const char* key) const { return attribute(key) != nullptr; }
  const onnx::AttributeProto* attribute(const char* key) const;
  Result<int64_t> int_attribute(const char* key, int64_t otherwise) const;
  Result<float> float_attribute(const char* key, float otherwise) const;
  Result<std::string> string_attribute(const char* key, const std::string& otherwise) const;
  Result<std::vector<int64_t>> ints_attribute(const char* key,
                                              std::vector<int64_t> otherwise = {}) const;
  // An axis attribute, made non-negative.
  Result<int> axis_attribute(const char* key, int64_t otherwise, size_t rank) const;

  // Results.
  int output_count() const { return proto_.output_size(); }
  bool output_used(int i) const;
  Result<ValueId> emit(Op op, const std::vector<ValueId>& inputs);
  Result<ValueId> literal(Constant value);
  Status set(int output, ValueId id);
  Status set(int output, Known known);
  // emit, then set output 0.
  Status finish(Op op, const std::vector<ValueId>& inputs);
  // Output 0 is input i itself.
  Status forward(int i);
  // Output 0 is input 0 under another shape.
  Status finish_reshape(Shape shape);

  const onnx::NodeProto& proto() const { return proto_; }
  GraphState& state() { return state_; }
  // Layers from here on are this node's.
  size_t first_layer() const { return first_layer_; }

 private:
  Status set(int output, Imported result);

  const onnx::NodeProto& proto_;
  int opset_;
  GraphState& state_;
  std::vector<Imported*> inputs_;
  size_t first_layer_;
  size_t first_value_;
};

// A non-negative axis, or an error that names it.
Result<int> checked_axis(int64_t axis, size_t rank);
// int64 -> int within [least, most], or an error that says which `what` is out of range.
Result<int> checked_int(int64_t value, int64_t least, int64_t most, const char* what);

}  // namespace emulsion
