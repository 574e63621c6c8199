// Runs a conv as a JIT-compiled kernel and compares it with evaluate(). Tensors end where their
// memory does: reading beyond one is a crash.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "lower/kernel_spec.h"

namespace emulsion {

// A conv with noise for weights; the rest has defaults to be changed.
struct ConvCase {
  Shape input{1, 16, 8, 8};
  int64_t co = 16;
  Extent2 kernel{3, 3};
  Extent2 stride{1, 1};
  Extent2 dilation{1, 1};
  Pad4 pad{1, 1, 1, 1};
  int groups = 1;
  bool bias = true;
  bool residual = false;
  std::optional<Activation> activation;
  Prologue prologue;
  Pad4 more_rim{0, 0, 0, 0};    // of the input, beyond the padding
  Pad4 output_rim{0, 0, 0, 0};  // of the output
  int64_t parent_channels = 0;  // channels of a concatenation around each tensor, beyond its own

  Conv conv() const;
  // Descriptors filled in; algorithm and schedule empty, target host.
  KernelSpec spec() const;
};

std::string describe(const ConvCase& c);

// The completed spec's kernel computes the conv within the algorithm's error bound, on noise, and
// writes nothing but its output; where its output may lie over its residual, it does that again.
void check_conv(const KernelSpec& spec);
// The same within a bound of one's own, in the largest output.
void check_conv(const KernelSpec& spec, double bound);
// Completes first.
void check_conv(const ConvCase& c, const std::string& algorithm = "",
                const std::string& schedule = "", const std::string& target = "host");

}  // namespace emulsion
