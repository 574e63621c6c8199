// A tensor alone in a file, as ONNX's test data has its inputs and outputs: a TensorProto
// (input_0.pb).
#pragma once

#include <filesystem>

#include "network/tensor.h"

namespace emulsion {

// Number types other than float are converted.
Result<Tensor> read_tensor_pb(const std::filesystem::path& path);

}  // namespace emulsion
