#include "onnx/export.h"

#include <limits>

#include "base/file.h"
#include "onnx/export_graph.h"

namespace emulsion {

namespace {

// A protobuf message holds less than 2 GB; this leaves room for the nodes.
constexpr int64_t k_most_weight_bytes = std::numeric_limits<int>::max() - (int64_t{64} << 20);

}  // namespace

Result<std::string> export_onnx_bytes(const Network& network) {
  const int64_t bytes = parameters(network) * static_cast<int64_t>(sizeof(float));
  if (bytes > k_most_weight_bytes) {
    return error("network '{}' has {:.1f} GB of weights; an .onnx file holds less than 2 GB",
                 network.name, static_cast<double>(bytes) * 1e-9);
  }
  TRY(const onnx::ModelProto model, export_model(network));
  std::string content;
  if (!model.SerializeToString(&content)) {
    return failure("network '{}' cannot be serialised", network.name);
  }
  return content;
}

Status export_onnx(const Network& network, const std::filesystem::path& path) {
  TRY(const std::string content, export_onnx_bytes(network));
  return write_file(path, content);
}

}  // namespace emulsion
