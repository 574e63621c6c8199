// The libraries that add_halide_library makes of conv_layer with Emulsion::Joint, linked as an app
// links them, compute what evaluate() does.
#include <HalideBuffer.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "conv_1x1.h"
#include "conv_3x3_residual.h"
#include "conv_case.h"
#include "conv_depthwise.h"
#include "conv_steps_given.h"
#include "lower/buffer_layout.h"
#include "lower/conv_view.h"
#include "network/evaluate.h"

namespace emulsion {
namespace {

using Buffer = Halide::Runtime::Buffer<float>;

// Memory as the layout has it, zeroed.
Buffer buffer(const BufferLayout& layout) {
  std::vector<int> extents;
  for (const BufferDimension& d : layout.dimensions) extents.push_back(d.extent);
  Buffer result(extents);
  for (int i = 0; i < result.dimensions(); ++i) result.translate(i, layout.dimensions[i].min);
  result.fill(0.0f);
  return result;
}

// The element of a tensor at a row-major index, in the buffer of a view of it: memory is channels
// innermost in both.
template <class F>
void for_each(const TensorDescriptor& d, Buffer& b, F&& f) {
  float* const origin =
      b.data() - input_layout(d).host_offset * (b.dim(1).min() < 0 || b.dim(2).min() < 0 ? 1 : 0);
  const Shape& s = d.shape;
  int64_t i = 0;
  for (int64_t n = 0; n < s[0]; ++n)
    for (int64_t c = 0; c < s[1]; ++c)
      for (int64_t y = 0; y < s[2]; ++y)
        for (int64_t x = 0; x < s[3]; ++x)
          f(i++, origin[n * d.strides[0] + c * d.strides[1] + y * d.strides[2] + x * d.strides[3]]);
}

template <class Kernel>
void check(const ConvCase& conv, Kernel kernel) {
  const KernelSpec spec = conv.spec();
  const ConvView view = spec.algorithm == "pointwise" ? flattened_view(spec) : conv_view(spec);
  std::vector<Tensor> inputs;
  std::vector<Buffer> buffers;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    inputs.push_back(*ConvCase::noise(spec.inputs[i].shape, 10 + i));
    Buffer b = buffer(input_layout(view.inputs[i]));
    for_each(spec.inputs[i], b, [&](int64_t at, float& x) { x = inputs[i].data[at]; });
    buffers.push_back(b);
  }
  std::vector<PackedConstant> packed = pack_constants(spec, spec.op);
  for (PackedConstant& p : packed) {
    Buffer b(p.extents);
    std::copy(p.data.begin(), p.data.end(), b.data());
    buffers.push_back(b);
  }
  Buffer out = buffer(output_layout(view.output));
  buffers.push_back(out);
  ASSERT_EQ(kernel(buffers), 0);

  const Tensor expected = evaluate(spec.op, inputs);
  double worst = 0, largest = 0;
  for_each(spec.output, out, [&](int64_t at, float& x) {
    worst = std::max(worst, std::abs(double{x} - expected.data[at]));
    largest = std::max(largest, std::abs(double{expected.data[at]}));
  });
  EXPECT_LE(worst, 1e-5 * largest);
}

TEST(ConvLibrary, ThreeByThreeWithAResidual) {
  check(ConvCase{.y = 8, .x = 8, .residual = true},
        [](std::vector<Buffer>& b) { return conv_3x3_residual(b[0], b[1], b[2], b[3], b[4]); });
}

TEST(ConvLibrary, OneByOne) {
  check(ConvCase{.ci = 48, .co = 17, .y = 7, .x = 5, .k = 1, .pad = 0},
        [](std::vector<Buffer>& b) { return conv_1x1(b[0], b[1], b[2], b[3]); });
}

TEST(ConvLibrary, Depthwise) {
  check(ConvCase{.ci = 24, .co = 24, .y = 9, .x = 9, .stride = 2, .groups = 24},
        [](std::vector<Buffer>& b) { return conv_depthwise(b[0], b[1], b[2], b[3]); });
}

TEST(ConvLibrary, ScheduleGivenAsParameter) {
  check(ConvCase{.ci = 16,
                 .co = 32,
                 .y = 8,
                 .x = 8,
                 .schedule = "tile x 4, tile co 16, vectorize coi 8, unroll coi, unroll xi"},
        [](std::vector<Buffer>& b) { return conv_steps_given(b[0], b[1], b[2], b[3]); });
}

}  // namespace
}  // namespace emulsion
