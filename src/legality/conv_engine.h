// How a training pass computes convs: plain loops in any precision (the reference), or compiled
// kernels. Forward, and backward by data (the gradient of the input; weights are never trained
// here).
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "kernels/loaded_kernel.h"
#include "legality/array.h"
#include "network/op.h"

namespace emulsion {

// [Co Ci/groups Ky Kx], row-major.
template <class T>
using Weights = std::vector<T>;

// A layer's weights as the engine last laid them out for its kernels, kept for the next time. Safe
// to share between threads.
class PackedWeights {
 public:
  using Constants = std::vector<std::vector<float, AlignedAllocator<float>>>;
  // What make() gave for this key the first time.
  std::shared_ptr<const Constants> get(const std::string& key,
                                       const std::function<Constants()>& make);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const Constants>> by_key_;
};

// The weights of one layer of a pass. `packed`, where there is one, goes with exactly these values.
template <class T>
struct LayerWeights {
  std::shared_ptr<const Weights<T>> values;
  std::shared_ptr<PackedWeights> packed;

  LayerWeights() = default;
  LayerWeights(Weights<T> v)  // NOLINT: implicit on purpose
      : values(std::make_shared<const Weights<T>>(std::move(v))) {}
  LayerWeights(std::shared_ptr<const Weights<T>> v, std::shared_ptr<PackedWeights> p)
      : values(std::move(v)), packed(std::move(p)) {}
};

// A conv that is going to be computed on an input of this shape.
struct ConvUse {
  Conv conv;
  Shape input;
  bool backward = false;  // or forward
};

template <class T>
class ConvEngine {
 public:
  virtual ~ConvEngine() = default;
  // Says what is coming, so that it can be compiled at once. Not needed for correctness.
  virtual Status prepare(const std::vector<ConvUse>&,
                         const std::function<void(int done, int all)>& = nullptr) {
    return ok();
  }
  // The conv's sum alone: no bias, prologue or epilogue.
  virtual Result<Array<T>> forward(const Conv& conv, const Array<T>& x,
                                   const LayerWeights<T>& weights) = 0;
  // The gradient by x (of shape x_shape) from the gradient by the output.
  virtual Result<Array<T>> backward(const Conv& conv, const Shape& x_shape,
                                    const Array<T>& gradient, const LayerWeights<T>& weights) = 0;
};

// Loops as in the definition.
template <class T>
class PlainEngine : public ConvEngine<T> {
 public:
  Result<Array<T>> forward(const Conv& conv, const Array<T>& x,
                           const LayerWeights<T>& weights) override;
  Result<Array<T>> backward(const Conv& conv, const Shape& x_shape, const Array<T>& gradient,
                            const LayerWeights<T>& weights) override;
};

// A conv as a kernel without padding: its input is padded (or, for a 1x1, picked with the stride)
// beforehand. The gradient by the input is such a conv too: of the output's gradient with stride-1
// zeros between its pixels, with kernels mirrored and transposed within each group.
struct ConvCall {
  KernelSpec spec;
  // Pixel (y, x) of the kernel's input is pixel (y, x) * pick + pick_offset of the source, or zero
  // outside.
  Extent2 pick{1, 1}, pick_offset{0, 0};
  // Or: pixel (y, x) of the source is pixel (y, x) * place + place_offset of the kernel's input.
  Extent2 place{1, 1}, place_offset{0, 0};
  // And for a 1x1's gradient, the same from the kernel's output to the result.
  bool place_result = false;
};
// Specs are not completed. x_shape: [N Ci H W].
ConvCall forward_call(const Conv& conv, const Shape& x_shape, const std::string& target);
ConvCall backward_call(const Conv& conv, const Shape& x_shape, const std::string& target);

// The distinct kernels of these uses, completed.
Result<std::vector<KernelSpec>> conv_kernels(const std::vector<ConvUse>& uses,
                                             const std::string& target);

// Convs through compiled kernels of the cache; float only. Safe to share between threads.
class KernelEngine : public ConvEngine<float> {
 public:
  KernelEngine(KernelCache& cache, std::string target)
      : cache_(cache), target_(std::move(target)) {}
  Status prepare(const std::vector<ConvUse>& uses,
                 const std::function<void(int done, int all)>& progress = nullptr) override;
  Result<Array<float>> forward(const Conv& conv, const Array<float>& x,
                               const LayerWeights<float>& weights) override;
  Result<Array<float>> backward(const Conv& conv, const Shape& x_shape,
                                const Array<float>& gradient,
                                const LayerWeights<float>& weights) override;

 private:
  // A conv on an input of one shape, in one direction, ready to run.
  struct Ready {
    ConvCall call;
    LoadedKernel kernel;
    std::string packing;  // names how weights lie for it
  };
  Result<std::shared_ptr<const Ready>> ready(const Conv& conv, const Shape& x, bool backward);
  Result<Array<float>> run(const Ready& ready, const Array<float>& source,
                           const Shape& result_shape, const LayerWeights<float>& weights,
                           const std::function<Constant()>& laid_out);

  KernelCache& cache_;
  std::string target_;
  std::mutex mutex_;
  std::map<std::vector<int64_t>, std::shared_ptr<const Ready>> ready_;  // by the conv's numbers
};

}  // namespace emulsion
