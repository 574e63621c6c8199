// The arguments of a kernel's call: halide_buffer_t's made from the spec's descriptors around plain
// pointers, in the order of the kernel's interface. Internal to kernels/.
#pragma once

#include <HalideRuntime.h>

#include <deque>
#include <vector>

#include "lower/algorithm.h"
#include "lower/buffer_layout.h"

namespace emulsion {

// Points to nothing that must outlive it but the data. Not copied: its arguments point into it.
class CallArguments {
 public:
  CallArguments(const KernelSpec& spec, const std::vector<PackedConstant>& constants,
                const std::vector<const float*>& inputs, const std::vector<const float*>& packed,
                float* output);
  CallArguments(const CallArguments&) = delete;
  CallArguments& operator=(const CallArguments&) = delete;

  // Calls the kernel at this address with them; its code, 0 when all is well.
  int call(void* kernel) const;

 private:
  struct Buffer {
    halide_buffer_t buffer = {};
    std::vector<halide_dimension_t> dimensions;
  };
  void add(const float* origin, const BufferLayout& layout, ElementType type);

  std::deque<Buffer> buffers_;  // stable addresses
  std::vector<void*> arguments_;
};

// The most arguments that CallArguments can pass.
inline constexpr size_t k_max_arguments = 64;

}  // namespace emulsion
