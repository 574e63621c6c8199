// An ONNX graph with fixed input shapes -> GraphState: sorts the nodes that the outputs need,
// converts each, and folds what follows from constants. Private to this folder.
#pragma once

#include "onnx/graph_state.h"
#include "onnx/import.h"

namespace emulsion {

struct GraphInputs {
  std::map<std::string, Shape> shapes;  // by name, for each input that is not an initialiser
  bool another_batch = false;           // some batch differs from the file's
  std::map<std::string, Shape> baked;   // the same with the file's batch
};

// Shapes from the file and the options; an unknown extent is an error, except a batch, which is
// then 1.
Result<GraphInputs> input_shapes(const onnx::GraphProto& graph, const ImportOptions& options);

// `state` comes with folder and baked set. Errors name node, operator and opset.
Status import_graph(const onnx::GraphProto& graph, int opset,
                    const std::map<std::string, Shape>& shapes, GraphState& state);

}  // namespace emulsion
