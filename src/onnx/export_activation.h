// How activations are written in ONNX. Private to this folder.
#pragma once

#include "onnx/graph_writer.h"

namespace emulsion {

// Of the value x, of so many dimensions; the name of the result. `main`: the activation is the
// whole layer, whose name its last node carries.
Result<std::string> add_activation(GraphWriter& writer, const Activation& activation,
                                   const std::string& x, size_t rank, bool main = false);

}  // namespace emulsion
