#include "kernels/call_arguments.h"

#include <array>
#include <utility>

namespace emulsion {
namespace {

BufferLayout layout_of(const PackedConstant& constant) {
  BufferLayout layout;
  int stride = 1;
  for (const int extent : constant.extents) {
    layout.dimensions.push_back({0, extent, stride});
    stride *= extent;
  }
  return layout;
}

template <size_t>
using Pointer = void*;

// A kernel has as many parameters as its layer has tensors: one caller for each number.
template <size_t... I>
int call_with(void* kernel, void* const* arguments, std::index_sequence<I...>) {
  return reinterpret_cast<int (*)(Pointer<I>...)>(kernel)(arguments[I]...);
}

using Caller = int (*)(void* kernel, void* const* arguments);

template <size_t... Count>
constexpr std::array<Caller, sizeof...(Count)> callers(std::index_sequence<Count...>) {
  return {[](void* kernel, void* const* arguments) {
    return call_with(kernel, arguments, std::make_index_sequence<Count>());
  }...};
}

}  // namespace

CallArguments::CallArguments(const KernelSpec& spec, const std::vector<PackedConstant>& constants,
                             const std::vector<const float*>& inputs,
                             const std::vector<const float*>& packed, float* output) {
  EMULSION_CHECK(inputs.size() == spec.inputs.size());
  EMULSION_CHECK(packed.size() == constants.size());
  EMULSION_CHECK(inputs.size() + packed.size() + 2 <= k_max_arguments);
  arguments_.push_back(nullptr);  // the user context
  for (size_t i = 0; i < inputs.size(); ++i)
    add(inputs[i], input_layout(spec.inputs[i]), ElementType::f32);
  for (size_t i = 0; i < packed.size(); ++i)
    add(packed[i], layout_of(constants[i]), constants[i].type);
  add(output, output_layout(spec.output), ElementType::f32);
}

int CallArguments::call(void* kernel) const {
  static constexpr auto k_callers = callers(std::make_index_sequence<k_max_arguments + 1>());
  return k_callers.at(arguments_.size())(kernel, arguments_.data());
}

void CallArguments::add(const float* origin, const BufferLayout& layout, ElementType type) {
  Buffer& added = buffers_.emplace_back();
  for (const BufferDimension& d : layout.dimensions) {
    added.dimensions.emplace_back(d.min, d.extent, d.stride);
  }
  added.buffer.host = reinterpret_cast<uint8_t*>(const_cast<float*>(origin + layout.host_offset));
  added.buffer.type = halide_type_t(halide_type_float, static_cast<uint8_t>(8 * bytes_of(type)), 1);
  added.buffer.dimensions = static_cast<int>(added.dimensions.size());
  added.buffer.dim = added.dimensions.data();
  arguments_.push_back(&added.buffer);
}

}  // namespace emulsion
