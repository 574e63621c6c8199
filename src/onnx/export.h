// Network -> .onnx (opset 13), prologues and epilogues written out as nodes of their own.
#pragma once

#include <filesystem>

#include "network/network.h"

namespace emulsion {

Status export_onnx(const Network& network, const std::filesystem::path& path);
Result<std::string> export_onnx_bytes(const Network& network);

}  // namespace emulsion
