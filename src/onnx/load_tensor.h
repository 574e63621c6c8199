// TensorProto -> Known, with its data in the message or in a file beside the model. Private to this
// folder.
#pragma once

#include <filesystem>

#include "onnx/known.h"

namespace emulsion {

// `folder` is the model's; external data outside of it is refused.
Result<Known> load_tensor(const onnx::TensorProto& tensor, const std::filesystem::path& folder);

}  // namespace emulsion
