// A network is a list of layers in topological order over numbered values: a value type, copied and
// compared freely; weights are shared. Every layer has exactly one output. verify() holds after
// every pass.
#pragma once

#include <string>
#include <vector>

#include "network/descriptor.h"
#include "network/op.h"

namespace emulsion {

using ValueId = int;

struct Value {
  std::string name;  // the ONNX name: a hint, unique in the network
  Shape shape;       // fixed, batch included
};

struct Layer {
  std::string name;  // the ONNX node's name: a hint
  Op op;
  std::vector<ValueId> inputs;
  ValueId output = -1;
};

struct Network {
  std::string name;
  std::vector<Value> values;
  std::vector<Layer> layers;     // topological order
  std::vector<ValueId> inputs;   // of the network, fed by the caller
  std::vector<ValueId> outputs;  // of the network; may repeat an input

  const Shape& shape(ValueId id) const { return values[id].shape; }
  ValueId add_value(std::string value_name, Shape value_shape);
  // Appends a layer and its output value, whose shape is inferred; a misfit is our bug
  // (EMULSION_CHECK). Importers infer first and report.
  ValueId add_layer(std::string layer_name, Op op, std::vector<ValueId> layer_inputs);
};

// Index of the layer that makes each value, or -1 for inputs.
std::vector<int> producers(const Network& network);
// Indices of the layers that read each value, in order.
std::vector<std::vector<int>> consumers(const Network& network);
// Indices of the conv layers, in order. Rewrites and plans name a conv by its place in this list,
// which no simplification changes.
std::vector<int> conv_layers(const Network& network);

// Removes layers whose output nothing needs and values that nothing names, and renumbers.
Network without_dead_layers(const Network& network);

// Sets every shape again from the inputs' shapes.
Result<Network> infer_shapes(Network network);

// The invariants: topological order, one producer a value, shapes as inferred, constants finite and
// fitting.
Status verify(const Network& network);
// The same without looking at the elements of constants: quick on large networks.
Status verify_structure(const Network& network);

int64_t multiplies(const Network& network);
int64_t parameters(const Network& network);

// One line a value and layer; constants by shape only. parse_network(to_text(n)) prints the same
// text.
std::string to_text(const Network& network);
Result<Network> parse_network(const std::string& text);

// A hash (32 hex digits) of structure and shapes: neither weights nor names enter it.
std::string structure_hash(const Network& network);

}  // namespace emulsion
