// Network -> a Python file with one PyTorch module, readable and complete in itself, and its
// weights as .npz: to train a rewritten network in PyTorch. Layers have the names of the ONNX
// nodes; forward() is straight-line code that takes any batch size.
#pragma once

#include <string>

#include "network/network.h"

namespace emulsion {

struct PytorchModule {
  std::string source;   // T.py
  std::string weights;  // T.npz, read by T.py's load() from beside it
};

// An error names the layer whose weights are missing.
Result<PytorchModule> export_pytorch(const Network& network);

}  // namespace emulsion
