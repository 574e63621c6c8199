#include "kernels/loaded_kernel.h"

#include "kernels/call_arguments.h"
#include "kernels/shared_object.h"

namespace emulsion {
namespace {

using Task = int (*)(void* user_context, int index, uint8_t* closure);
using SetParallelFor = void* (*)(void* parallel_for);

// Replaces the library's thread pool: loaded kernels run on the thread that calls them.
int serial_for(void* user_context, Task task, int min, int size, uint8_t* closure) {
  for (int i = min; i < min + size; ++i) {
    if (const int code = task(user_context, i, closure)) return code;
  }
  return 0;
}

}  // namespace

struct LoadedKernel::State {
  KernelSpec spec;
  std::vector<PackedConstant> constants;  // extents only
  SharedObject library;
  void* entry;
};

Result<LoadedKernel> LoadedKernel::load(KernelCache& cache, const KernelSpec& spec) {
  TRY(const CompiledKernel compiled, cache.compile(spec));
  TRY(const std::filesystem::path path, cache.shared_library(compiled, spec.target));
  TRY(const SharedObject library, SharedObject::open(path));
  TRY(const auto entry, library.find<void*>(compiled.name));
  TRY(const auto set_parallel_for, library.find<SetParallelFor>("halide_set_custom_do_par_for"));
  set_parallel_for(reinterpret_cast<void*>(&serial_for));
  std::vector<PackedConstant> constants = pack_constants(spec, spec.op);
  for (PackedConstant& constant : constants) constant.data = {};
  if (spec.inputs.size() + constants.size() + 2 > k_max_arguments) {
    return error("a layer of {} inputs is more than the {} that can be loaded", spec.inputs.size(),
                 k_max_arguments - 2 - constants.size());
  }
  LoadedKernel loaded;
  loaded.state_ = std::make_shared<State>(State{spec, std::move(constants), library, entry});
  return loaded;
}

Status LoadedKernel::run(const std::vector<const float*>& inputs,
                         const std::vector<const float*>& packed, float* output) const {
  const CallArguments arguments(state_->spec, state_->constants, inputs, packed, output);
  if (const int code = arguments.call(state_->entry)) {
    return failure("kernel {} ({}) failed with Halide's error {}", kernel_name(state_->spec),
                   op_name(state_->spec.op), code);
  }
  return ok();
}

const KernelSpec& LoadedKernel::spec() const {
  return state_->spec;
}

}  // namespace emulsion
