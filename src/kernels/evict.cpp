#include "kernels/evict.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace emulsion {

Block block_of(const KernelBuffer& buffer) {
  return {buffer.origin() - origin_offset(buffer.descriptor()),
          static_cast<size_t>(storage_elements(buffer.descriptor()))};
}

void evict([[maybe_unused]] const std::vector<Block>& blocks) {
#if defined(__x86_64__)
  constexpr size_t k_line = 64 / sizeof(float);
  for (const Block& block : blocks) {
    for (size_t i = 0; i < block.elements; i += k_line) _mm_clflush(block.data + i);
    if (block.elements > 0) _mm_clflush(block.data + block.elements - 1);
  }
  _mm_mfence();
#else
  // Larger than any last-level cache we know.
  static std::vector<char> sweep(size_t{256} << 20);
  for (size_t i = 0; i < sweep.size(); i += 64) ++reinterpret_cast<volatile char&>(sweep[i]);
#endif
}

}  // namespace emulsion
