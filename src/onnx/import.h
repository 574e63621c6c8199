// .onnx -> Network: opset 7 to 22, float32, external data. Shape arithmetic is folded away; ops
// outside the table are refused with an error that names file, node, op, opset, attribute and the
// nearest supported form.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "network/network.h"

namespace emulsion {

struct ImportOptions {
  // Shapes by input name ("" is the only input); a symbolic or missing dimension needs one unless
  // it is the batch (then 1).
  std::map<std::string, Shape> shapes;
};

Result<Network> import_onnx(const std::filesystem::path& path, const ImportOptions& options = {});
// The same from a file's bytes; external data is looked for beside `path`.
Result<Network> import_onnx_bytes(const std::string& bytes, const std::filesystem::path& path,
                                  const ImportOptions& options = {});

}  // namespace emulsion
