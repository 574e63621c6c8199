// A cached kernel loaded into this process and called on our tensors: for tests, legality and
// timing.
#pragma once

#include <memory>
#include <vector>

#include "kernels/kernel_cache.h"
#include "lower/algorithm.h"
#include "network/tensor.h"

namespace emulsion {

// Memory laid out as a descriptor says, rim included; zeroed at first, 64-byte aligned.
class KernelBuffer {
 public:
  explicit KernelBuffer(const TensorDescriptor& descriptor);
  float* origin();  // element (0, 0, ...)
  const float* origin() const;
  const TensorDescriptor& descriptor() const { return descriptor_; }
  void set(const Tensor& tensor);  // from row-major; the rim stays
  Tensor get() const;              // to row-major

 private:
  TensorDescriptor descriptor_;
  std::shared_ptr<float> memory_;
};

// Memory with a constant as kernels read it, whatever its type; origin() is where it starts.
KernelBuffer stored_constant(const PackedConstant& constant);

class LoadedKernel {
 public:
  static Result<LoadedKernel> load(KernelCache& cache,
                                   const KernelSpec& spec);  // compiles when needed
  // Buffers by descriptor; constants packed once with pack_constants. Thread-safe.
  Status run(const std::vector<const float*>& inputs, const std::vector<const float*>& packed,
             float* output) const;
  const KernelSpec& spec() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace emulsion
