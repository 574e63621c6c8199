// Network -> ONNX's protobuf message, at opset 13. Private to this folder.
#pragma once

#include "network/network.h"
#include "onnx/proto.h"

namespace emulsion {

Result<onnx::ModelProto> export_model(const Network& network);

}  // namespace emulsion
