#include "onnx/import.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <limits>

#include "base/file.h"
#include "onnx/graph_importer.h"
#include "onnx/op_table.h"

namespace emulsion {

namespace {

Result<onnx::ModelProto> parse_model(const std::string& bytes) {
  if (bytes.empty()) return error("the file is empty");
  if (bytes.size() > static_cast<size_t>(std::numeric_limits<int>::max())) {
    return error(
        "the file has more than 2 GB, protobuf's limit; save the weights as external data");
  }
  onnx::ModelProto model;
  google::protobuf::io::ArrayInputStream stream(bytes.data(), static_cast<int>(bytes.size()));
  google::protobuf::io::CodedInputStream coded(&stream);
  coded.SetTotalBytesLimit(std::numeric_limits<int>::max());
  if (!model.ParseFromCodedStream(&coded) || !coded.ConsumedEntireMessage()) {
    return error("not an ONNX model, or a truncated one");
  }
  if (!model.has_graph()) return error("not an ONNX model: it has no graph");
  return model;
}

Result<int> opset_of(const onnx::ModelProto& model) {
  for (const auto& opset : model.opset_import()) {
    if (!opset.domain().empty() && opset.domain() != "ai.onnx") continue;
    if (opset.version() < k_first_opset || opset.version() > k_last_opset) {
      return error("opset {} is not supported; {} to {} are", opset.version(), k_first_opset,
                   k_last_opset);
    }
    return static_cast<int>(opset.version());
  }
  return error("the file names no opset of ONNX's own operators");
}

Result<Network> import_model(const onnx::ModelProto& model, const std::filesystem::path& folder,
                             const ImportOptions& options) {
  TRY(const int opset, opset_of(model));
  TRY(const GraphInputs inputs, input_shapes(model.graph(), options));
  GraphState baked;
  baked.folder = folder;
  const bool two_passes =
      inputs.another_batch && import_graph(model.graph(), opset, inputs.baked, baked).ok();
  GraphState state;
  state.folder = folder;
  if (two_passes) state.baked = &baked;
  TRY_OK(import_graph(model.graph(), opset, inputs.shapes, state));
  Network network = without_dead_layers(state.network);
  TRY_OK(verify(network));
  return network;
}

}  // namespace

Result<Network> import_onnx_bytes(const std::string& bytes, const std::filesystem::path& path,
                                  const ImportOptions& options) {
  const auto run = [&]() -> Result<Network> {
    TRY(const onnx::ModelProto model, parse_model(bytes));
    return import_model(model, path.parent_path(), options);
  };
  Result<Network> network = run();
  if (!network.ok()) return network.error().in(path.string());
  return network;
}

Result<Network> import_onnx(const std::filesystem::path& path, const ImportOptions& options) {
  TRY(const std::string bytes, read_file(path));
  return import_onnx_bytes(bytes, path, options);
}

}  // namespace emulsion
