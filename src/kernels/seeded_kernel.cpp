#include "kernels/seeded_kernel.h"

#include <vector>

#include "base/random.h"
#include "kernels/call_arguments.h"
#include "kernels/evict.h"
#include "kernels/loaded_kernel.h"
#include "kernels/shared_object.h"

namespace emulsion {
namespace {

struct Operands {
  std::vector<KernelBuffer> inputs;
  std::vector<KernelBuffer> constants;
  KernelBuffer output;
};

Operands seeded_operands(const KernelSpec& spec, const std::vector<PackedConstant>& constants) {
  Operands operands{{}, {}, KernelBuffer(spec.output)};
  const auto fill = [](const TensorDescriptor& descriptor, const RandomStream& random, double low,
                       double high) {
    Tensor values(descriptor.shape);
    for (size_t i = 0; i < values.data.size(); ++i) {
      values.data[i] = static_cast<float>(random.uniform(i, low, high));
    }
    KernelBuffer buffer(descriptor);
    buffer.set(values);
    return buffer;
  };
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    operands.inputs.push_back(fill(spec.inputs[i], RandomStream(1, "input", i), -1.0, 1.0));
  }
  for (size_t i = 0; i < constants.size(); ++i) {
    int64_t elements = 1;
    for (const int extent : constants[i].extents) elements *= extent;
    // Positive: some constants are divisors.
    const RandomStream random(1, "constant", i);
    PackedConstant filled = constants[i];
    filled.data.resize(elements);
    for (size_t k = 0; k < filled.data.size(); ++k)
      filled.data[k] = static_cast<float>(random.uniform(k, 0.01, 0.1));
    operands.constants.push_back(stored_constant(filled));
  }
  return operands;
}

std::vector<const float*> origins(const std::vector<KernelBuffer>& buffers) {
  std::vector<const float*> result;
  result.reserve(buffers.size());
  for (const KernelBuffer& buffer : buffers) result.push_back(buffer.origin());
  return result;
}

}  // namespace

struct SeededKernel::State {
  State(SharedObject from, void* at, const KernelSpec& spec,
        const std::vector<PackedConstant>& constants)
      : library(std::move(from)),
        entry(at),
        operands(seeded_operands(spec, constants)),
        arguments(spec, constants, origins(operands.inputs), origins(operands.constants),
                  operands.output.origin()) {
    for (const KernelBuffer& buffer : operands.inputs) evicted.push_back(block_of(buffer));
    for (const KernelBuffer& buffer : operands.constants) evicted.push_back(block_of(buffer));
  }

  SharedObject library;
  void* entry;
  Operands operands;
  CallArguments arguments;
  std::vector<Block> evicted;
};

Result<SeededKernel> SeededKernel::load(const std::filesystem::path& library_path,
                                        const std::string& name, const KernelSpec& spec,
                                        int threads) {
  TRY(const SharedObject library, SharedObject::open(library_path));
  TRY(const auto entry, library.find<void*>(name));
  TRY(const auto set_threads, library.find<int (*)(int)>("halide_set_num_threads"));
  set_threads(threads);
  SeededKernel kernel;
  kernel.state_ = std::make_shared<State>(library, entry, spec, constant_shapes(spec));
  return kernel;
}

int SeededKernel::call() const {
  return state_->arguments.call(state_->entry);
}

void SeededKernel::evict() const {
  emulsion::evict(state_->evicted);
}

}  // namespace emulsion
