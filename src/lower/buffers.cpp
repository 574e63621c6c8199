#include "lower/buffers.h"

namespace emulsion {

using Halide::Float;
using Halide::Func;
using Halide::ImageParam;

ImageParam input_buffer(const std::string& name, const BufferLayout& layout, ElementType type) {
  ImageParam buffer(Float(8 * bytes_of(type)), static_cast<int>(layout.dimensions.size()), name);
  for (size_t i = 0; i < layout.dimensions.size(); ++i) {
    const BufferDimension& d = layout.dimensions[i];
    buffer.dim(static_cast<int>(i)).set_bounds(d.min, d.extent).set_stride(d.stride);
  }
  return buffer;
}

ImageParam input_buffer(const std::string& name, const TensorDescriptor& d) {
  return input_buffer(name, input_layout(d));
}

ImageParam constant_buffer(const std::string& name, const std::vector<int>& extents,
                           ElementType type) {
  BufferLayout layout;
  int stride = 1;
  for (const int extent : extents) {
    layout.dimensions.push_back({0, extent, stride});
    stride *= extent;
  }
  ImageParam buffer = input_buffer(name, layout, type);
  buffer.set_host_alignment(64);
  return buffer;
}

void bind_output(Func& output, const BufferLayout& layout) {
  auto buffer = output.output_buffer();
  const std::vector<Halide::Var> variables = output.args();
  EMULSION_CHECK(variables.size() == layout.dimensions.size());
  for (size_t i = 0; i < variables.size(); ++i) {
    const BufferDimension& d = layout.dimensions[i];
    buffer.dim(static_cast<int>(i)).set_bounds(d.min, d.extent).set_stride(d.stride);
    output.bound(variables[i], d.min, d.extent);
  }
}

void bind_output(Func& output, const TensorDescriptor& d) {
  bind_output(output, output_layout(d));
}

}  // namespace emulsion
