#include "onnx/tensor_file.h"

#include "base/file.h"
#include "onnx/load_tensor.h"

namespace emulsion {

Result<Tensor> read_tensor_pb(const std::filesystem::path& path) {
  TRY(const std::string bytes, read_file(path));
  onnx::TensorProto proto;
  if (!proto.ParseFromString(bytes)) return error("{}: not an ONNX TensorProto", path.string());
  auto known = load_tensor(proto, path.parent_path());
  if (!known.ok()) return known.error().in(path.string());
  Tensor tensor(known->shape);
  for (size_t i = 0; i < tensor.data.size(); ++i) {
    tensor.data[i] =
        known->is_float() ? known->floats->data[i] : static_cast<float>((*known->ints)[i]);
  }
  return tensor;
}

}  // namespace emulsion
