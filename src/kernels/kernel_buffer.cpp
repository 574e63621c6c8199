#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "base/divide.h"
#include "kernels/loaded_kernel.h"

namespace emulsion {
namespace {

// Calls visit(offset from the origin) for every element in row-major order.
template <class Visit>
void for_each_offset(const TensorDescriptor& d, const Visit& visit) {
  const size_t rank = d.shape.size();
  std::vector<int64_t> index(rank, 0);
  int64_t offset = 0;
  for (int64_t left = element_count(d.shape); left > 0; --left) {
    visit(offset);
    for (size_t i = rank; i-- > 0;) {
      offset += d.strides[i];
      if (++index[i] < d.shape[i]) break;
      offset -= d.shape[i] * d.strides[i];
      index[i] = 0;
    }
  }
}

}  // namespace

KernelBuffer::KernelBuffer(const TensorDescriptor& descriptor) : descriptor_(descriptor) {
  // Large buffers in huge pages, as in a compiled network.
  constexpr int64_t k_line = 64, k_huge_page = int64_t{2} << 20;
  const int64_t least = std::max(storage_elements(descriptor), int64_t{1}) * 4,
                alignment = least < k_huge_page ? k_line : k_huge_page;
  const int64_t bytes = round_up(least, alignment);
  auto* const memory = static_cast<float*>(std::aligned_alloc(alignment, bytes));
  EMULSION_CHECK(memory != nullptr);
#ifdef MADV_HUGEPAGE
  if (alignment == k_huge_page) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  std::memset(memory, 0, bytes);
  memory_ = std::shared_ptr<float>(memory, std::free);
}

float* KernelBuffer::origin() {
  return memory_.get() + origin_offset(descriptor_);
}
const float* KernelBuffer::origin() const {
  return memory_.get() + origin_offset(descriptor_);
}

void KernelBuffer::set(const Tensor& tensor) {
  EMULSION_CHECK(tensor.shape == descriptor_.shape && !tensor.abstract());
  const float* from = tensor.data.data();
  float* const to = origin();
  for_each_offset(descriptor_, [&](int64_t offset) { to[offset] = *from++; });
}

Tensor KernelBuffer::get() const {
  Tensor tensor(descriptor_.shape);
  float* to = tensor.data.data();
  const float* const from = origin();
  for_each_offset(descriptor_, [&](int64_t offset) { *to++ = from[offset]; });
  return tensor;
}

KernelBuffer stored_constant(const PackedConstant& constant) {
  const std::string bytes = stored_bytes(constant);
  const auto floats = divide_up(static_cast<int64_t>(bytes.size()), sizeof(float));
  KernelBuffer buffer(row_major({std::max<int64_t>(floats, 1)}));
  std::memcpy(buffer.origin(), bytes.data(), bytes.size());
  return buffer;
}

}  // namespace emulsion
