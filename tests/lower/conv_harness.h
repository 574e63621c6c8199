// Runs a conv's kernel and compares it with evaluate(). Tensors end where their memory does:
// reading beyond one is a crash.
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
  // The same without the data of weights and bias.
  KernelSpec abstract_spec() const;
};

std::string describe(const ConvCase& c);

// Noise, the same each time, for every constant of a conv or of a chain of them that has no data.
Op with_noise(Op op);

// How a kernel is run: compiled in this process, or as networks have it: an object file from a
// kernel cache, with prefetches and with its scratch on the stack. One for a processor that
// emulated_kernel.h emulates is always such an object.
enum class Delivery { jit, object };

// The largest error of the completed spec's kernel, over the largest output, on noise. Fails where
// it does not compile, or writes anything but its output; where its output may lie over its
// residual, it does that again.
double conv_error(const KernelSpec& spec, Delivery delivery = Delivery::jit);

// The error is no more than the spec's bound.
void check_conv(const KernelSpec& spec, Delivery delivery = Delivery::jit);
// The same within a bound of one's own.
void check_conv(const KernelSpec& spec, double bound);
// Completes first.
void check_conv(const ConvCase& c, const std::string& algorithm = "",
                const std::string& schedule = "", const std::string& target = "host");

}  // namespace emulsion
