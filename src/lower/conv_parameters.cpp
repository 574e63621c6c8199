#include "lower/conv_parameters.h"

#include "lower/activation.h"
#include "lower/buffers.h"

namespace emulsion {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::Var;

namespace {

// Of a per-channel constant packed as (co padded, g), or its one entry.
Expr channel_entry(const ImageParam& constant, const Expr& c, const Expr& g) {
  return constant.dimensions() == 1 ? constant(0) : constant(c, g);
}

}  // namespace

ConvParameters::ConvParameters(const ConvView& view, const std::vector<PackedConstant>& packed) {
  for (const TensorDescriptor& input : view.inputs)
    inputs.push_back(input_buffer(inputs.empty() ? "in" : "residual", input));
  for (const PackedConstant& constant : packed)
    constants.push_back(constant_buffer(fmt::format("constant{}", constants.size()),
                                        constant.extents,
                                        constants.empty() ? view.weights : ElementType::f32));
}

std::vector<Halide::Argument> ConvParameters::arguments() const {
  std::vector<Halide::Argument> result(inputs.begin(), inputs.end());
  result.insert(result.end(), constants.begin(), constants.end());
  return result;
}

ConvConstants::ConvConstants(const Conv& conv, ConvParameters& parameters)
    : activation_(conv.epilogue.activation), weight_(parameters.take()), bias_(parameters.take()) {
  if (slope_of(activation_)) slopes_ = parameters.take();
}

Expr ConvConstants::bias(const Expr& c, const Expr& g) const {
  return channel_entry(bias_, c, g);
}

Expr ConvConstants::activated(const Expr& value, const Expr& c, const Expr& g) const {
  return activate(activation_, value,
                  slope_of(activation_) ? channel_entry(slopes_, c, g) : Expr());
}

Func build_prologue(const Conv& conv, const ConvView& view, ConvParameters& parameters) {
  const Var c("c"), x("x"), y("y"), n("n");
  Expr value = parameters.inputs[0](c, x, y, n);
  if (conv.prologue.scale) {
    const ImageParam scale = parameters.take(), shift = parameters.take();
    value = value * scale(c) + shift(c);
  }
  Expr slope;
  if (slope_of(conv.prologue.activation)) {
    const ImageParam slopes = parameters.take();
    slope = element_count(conv.prologue.activation->slope->shape) == 1 ? slopes(0) : slopes(c);
  }
  value = activate(conv.prologue.activation, value, slope);
  if (conv.pad != Pad4{0, 0, 0, 0}) {
    const int height = static_cast<int>(view.inputs[0].shape[2]);
    const int width = static_cast<int>(view.inputs[0].shape[3]);
    value = Halide::select(x >= 0 && x < width && y >= 0 && y < height, value, 0.0f);
  }
  Func prologue("prologue");
  prologue(c, x, y, n) = value;
  return prologue;
}

BufferLayout conv_output_layout(const ConvView& view) {
  const Nest& nest = view.nest;
  BufferLayout layout = output_layout(view.output);
  if (nest.groups == 1) return layout;
  layout.dimensions[0].extent = narrow(nest.co);
  layout.dimensions.insert(layout.dimensions.begin() + 1,
                           BufferDimension{0, narrow(nest.groups), narrow(nest.co)});
  return layout;
}

}  // namespace emulsion
