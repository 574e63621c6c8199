// Halide's buffer parameters from tensor descriptors: every minimum, extent and stride is a
// constant of the generated code. Tensors may be slices of others, so only packed constants are
// known to be aligned.
#pragma once

#include <Halide.h>

#include <string>
#include <vector>

#include "lower/buffer_layout.h"
#include "network/element_type.h"

namespace emulsion {

// The parameter for a layer's input, rim included; dimensions (c, x, y, n) for rank 4, else
// reversed.
Halide::ImageParam input_buffer(const std::string& name, const TensorDescriptor& d);
Halide::ImageParam input_buffer(const std::string& name, const BufferLayout& layout,
                                ElementType type = ElementType::f32);

// The parameter for a packed constant: dense, extents innermost first, 64-byte aligned.
Halide::ImageParam constant_buffer(const std::string& name, const std::vector<int>& extents,
                                   ElementType type = ElementType::f32);

// Fixes the output's buffer and the bounds of the Func's variables, in the order of the layout.
void bind_output(Halide::Func& output, const TensorDescriptor& d);
void bind_output(Halide::Func& output, const BufferLayout& layout);

}  // namespace emulsion
