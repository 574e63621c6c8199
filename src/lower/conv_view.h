// A conv's memory as an algorithm sees it, and what every conv algorithm asks of its descriptors.
// No Halide.
#pragma once

#include <string>
#include <vector>

#include "lower/kernel_spec.h"
#include "nest/nest.h"

namespace emulsion {

struct ConvView {
  Nest nest;                             // unscheduled
  std::vector<TensorDescriptor> inputs;  // as the spec's, or several dimensions as one
  TensorDescriptor output;
  ElementType weights = ElementType::f32;  // as they are stored
  int64_t packed = 1;                      // groups of the conv in each of the nest's
};

// As the descriptors have it.
ConvView conv_view(const KernelSpec& spec);
// For a 1x1 conv of stride 1 without padding: the same, with y folded into x, and n too, as far as
// the strides of all tensors allow.
ConvView flattened_view(const KernelSpec& spec);

// Groups of fewer output channels than a vector holds, as many in one of the nest's groups as fill
// a vector: its co runs over the output channels of all of them, its ci over the input channels of
// each. As the descriptors have it where no two groups fit, or no number of them fills a vector.
ConvView packed_view(const KernelSpec& spec);

// Whether this is a conv whose tensors are images stored channels innermost, with an input rim that
// covers every tap; else why not ("" when it is no conv at all).
bool takes_conv(const KernelSpec& spec, std::string* reason);

}  // namespace emulsion
