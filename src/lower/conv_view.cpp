#include "lower/conv_view.h"

#include <algorithm>

#include "lower/machine.h"

namespace emulsion {

namespace {

bool whole_rows(const TensorDescriptor& d) {
  return d.rim == Pad4{0, 0, 0, 0} && d.strides[2] == d.shape[3] * d.strides[3];
}

bool whole_images(const TensorDescriptor& d) {
  return whole_rows(d) && d.strides[0] == d.shape[2] * d.strides[2];
}

// y (and n, where asked) as a part of x.
TensorDescriptor folded(TensorDescriptor d, bool images) {
  const int64_t n = images ? d.shape[0] : 1, pixels = n * d.shape[2] * d.shape[3];
  d.shape = {images ? 1 : d.shape[0], d.shape[1], 1, pixels};
  d.strides[2] = pixels * d.strides[3];
  return d;
}

// Rows or columns after the image that the taps reach.
int64_t reach(int64_t outputs, int64_t taps, int stride, int dilation, int pad, int64_t image) {
  return std::max<int64_t>(0, (outputs - 1) * stride + (taps - 1) * dilation - pad - (image - 1));
}

}  // namespace

ConvView conv_view(const KernelSpec& spec) {
  const auto& conv = std::get<Conv>(spec.op);
  return {conv_nest(conv, spec.inputs[0].shape), spec.inputs, spec.output, spec.weights, 1};
}

ConvView flattened_view(const KernelSpec& spec) {
  ConvView view = conv_view(spec);
  std::vector<const TensorDescriptor*> tensors{&view.output};
  for (const TensorDescriptor& input : view.inputs) tensors.push_back(&input);
  const auto all = [&](bool (*property)(const TensorDescriptor&)) {
    return std::all_of(tensors.begin(), tensors.end(),
                       [&](const TensorDescriptor* d) { return property(*d); });
  };
  if (!all(whole_rows)) return view;
  const bool images = all(whole_images);
  for (TensorDescriptor& input : view.inputs) input = folded(input, images);
  view.output = folded(view.output, images);
  view.nest = conv_nest(std::get<Conv>(spec.op), view.inputs[0].shape);
  return view;
}

ConvView packed_view(const KernelSpec& spec) {
  ConvView view = conv_view(spec);
  const int64_t vector = machine_of(spec.target).vector, co = view.nest.co;
  const bool whole = (co & (co - 1)) == 0;  // some groups fill a vector
  while (whole && view.nest.groups % 2 == 0 && view.nest.co * 2 <= vector) {
    view.nest.groups /= 2;
    view.nest.co *= 2;
    view.packed *= 2;
  }
  for (Loop& loop : view.nest.loops) {
    if (loop.name == "g") loop.extent = view.nest.groups;
    if (loop.name == "co") loop.extent = view.nest.co;
  }
  return view;
}

bool takes_conv(const KernelSpec& spec, std::string* reason) {
  const auto* conv = std::get_if<Conv>(&spec.op);
  if (!conv) return false;
  EMULSION_CHECK(spec.inputs.size() == (conv->epilogue.residual ? 2u : 1u));
  const TensorDescriptor& input = spec.inputs[0];
  for (const TensorDescriptor* d : {&input, &spec.output, &spec.inputs.back()}) {
    if (d->shape.size() != 4) {
      *reason = "its tensors are not images of rank 4";
      return false;
    }
    if (d->channel_block != 0 || (d->strides[1] != 1 && d->shape[1] != 1)) {
      *reason = fmt::format("{} is not stored channels innermost", to_text(*d));
      return false;
    }
  }
  const Nest nest = conv_nest(*conv, input.shape);
  const Pad4 needed{conv->pad[0], conv->pad[1],
                    static_cast<int>(reach(nest.y, nest.ky, conv->stride[0], conv->dilation[0],
                                           conv->pad[0], input.shape[2])),
                    static_cast<int>(reach(nest.x, nest.kx, conv->stride[1], conv->dilation[1],
                                           conv->pad[1], input.shape[3]))};
  for (int side = 0; side < 4; ++side) {
    if (input.rim[side] < needed[side]) {
      *reason = fmt::format("the input's rim {} is smaller than the padding {}",
                            fmt::join(input.rim, ","), fmt::join(needed, ","));
      return false;
    }
  }
  return true;
}

}  // namespace emulsion
