// Runs an op as a JIT-compiled kernel on tensors in given layouts and compares it with evaluate().
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "lower/kernel_spec.h"
#include "network/tensor.h"

namespace emulsion {

// The layouts that tests take a tensor in.
enum class Layout {
  row_major,      // as ONNX has it
  channels_last,  // rank 4: channels innermost; other ranks: row-major
  rim,            // the same with an uneven rim
  slice,          // the same with a rim, and in a wider tensor: strides leave room between elements
};
const char* layout_name(Layout layout);
TensorDescriptor descriptor(const Shape& shape, Layout layout);

// Reproducible values in [-2, 2).
Tensor noise(const Shape& shape, uint64_t seed);
Constant noise_constant(const Shape& shape, uint64_t seed);

// The kernel of the op on inputs of noise, in these layouts, equals evaluate() within its bound,
// and writes nothing outside its output. `error` becomes the largest error over the largest output.
void check_op(const Op& op, const std::vector<Shape>& inputs, Layout in, Layout out,
              const std::string& target = "host", ElementType weights = ElementType::f32,
              double* error = nullptr);
// In five pairs of layouts, each layout on either side, those that are equal for these shapes once.
void check_op(const Op& op, const std::vector<Shape>& inputs);

}  // namespace emulsion
