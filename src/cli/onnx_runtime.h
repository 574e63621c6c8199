// ONNX Runtime as an oracle: through a Python that has it, when there is one.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "network/tensor.h"

namespace emulsion {

struct PythonOracle {
  std::string python;   // the interpreter
  std::string version;  // of the package, "" when the interpreter does not have it
};
// The first of --python (alone, when given), python3 in PATH, .venv/bin/python that can import the
// package; or none of them.
std::optional<PythonOracle> find_python_with(const std::string& package, const std::string& python);

// The model's outputs on inputs in the model's order.
Result<std::vector<Tensor>> run_onnx_runtime(const PythonOracle& oracle,
                                             const std::filesystem::path& model,
                                             const std::vector<Tensor>& inputs);

}  // namespace emulsion
