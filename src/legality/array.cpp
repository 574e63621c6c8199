#include "legality/array.h"

#include <unordered_map>

namespace emulsion {
namespace {

constexpr size_t k_large_block = size_t{16} << 10;
constexpr size_t k_most_kept = size_t{128} << 20;  // bytes a thread

// The freed blocks of one thread, by size.
struct FreeBlocks {
  std::unordered_map<size_t, std::vector<void*>> by_size;
  size_t bytes = 0;

  ~FreeBlocks();
};

// Null once the thread is ending.
thread_local bool blocks_are_gone = false;

FreeBlocks* free_blocks() {
  if (blocks_are_gone) return nullptr;
  thread_local FreeBlocks blocks;
  return &blocks;
}

FreeBlocks::~FreeBlocks() {
  blocks_are_gone = true;
  for (const auto& [size, blocks] : by_size) {
    for (void* const block : blocks) ::operator delete (block, std::align_val_t{64});
  }
}

}  // namespace

void* take_block(size_t bytes) {
  FreeBlocks* const kept = bytes >= k_large_block ? free_blocks() : nullptr;
  if (kept) {
    std::vector<void*>& blocks = kept->by_size[bytes];
    if (!blocks.empty()) {
      void* const block = blocks.back();
      blocks.pop_back();
      kept->bytes -= bytes;
      return block;
    }
  }
  return ::operator new (bytes, std::align_val_t{64});
}

void give_block(void* block, size_t bytes) {
  FreeBlocks* const kept = bytes >= k_large_block ? free_blocks() : nullptr;
  if (kept && kept->bytes + bytes <= k_most_kept) {
    kept->by_size[bytes].push_back(block);
    kept->bytes += bytes;
    return;
  }
  ::operator delete (block, std::align_val_t{64});
}

std::vector<int64_t> onnx_order_strides(const Shape& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (int d = static_cast<int>(shape.size()) - 2; d >= 0; --d) {
    strides[d] = strides[d + 1] * shape[d + 1];
  }
  return strides;
}

std::vector<int64_t> array_strides(const Shape& shape) {
  if (shape.size() != 4) return onnx_order_strides(shape);
  return {shape[1] * shape[2] * shape[3], 1, shape[3] * shape[1], shape[1]};
}

template <class T>
Array<T> to_array(const Tensor& tensor) {
  Array<T> result(tensor.shape);
  const std::vector<T> values(tensor.data.begin(), tensor.data.end());
  copy_strided(tensor.shape, result.data.data(), array_strides(tensor.shape), values.data(),
               onnx_order_strides(tensor.shape));
  return result;
}

Tensor to_tensor(const Array<float>& array) {
  std::vector<float> values(array.data.size());
  copy_strided(array.shape, values.data(), onnx_order_strides(array.shape), array.data.data(),
               array_strides(array.shape));
  return Tensor(array.shape, std::move(values));
}

template Array<float> to_array(const Tensor&);
template Array<double> to_array(const Tensor&);

}  // namespace emulsion
