// What the Funcs of every conv algorithm begin with: the kernel's parameters in argument order, and
// the prologue.
#pragma once

#include <Halide.h>

#include <optional>
#include <vector>

#include "lower/algorithm.h"
#include "lower/buffer_layout.h"
#include "lower/conv_view.h"

namespace emulsion {

// inputs, then packed constants, the weights first; constants are taken in the order in which they
// were packed.
struct ConvParameters {
  std::vector<Halide::ImageParam> inputs;
  std::vector<Halide::ImageParam> constants;
  size_t next = 0;

  ConvParameters(const ConvView& view, const std::vector<PackedConstant>& packed);
  Halide::ImageParam take() { return constants.at(next++); }
  std::vector<Halide::Argument> arguments() const;
};

// The constants of the sum and the epilogue, the first that every conv has packed.
class ConvConstants {
 public:
  ConvConstants(const Conv& conv, ConvParameters& parameters);
  const Halide::ImageParam& weight() const { return weight_; }
  // Of channel c of group g.
  Halide::Expr bias(const Halide::Expr& c, const Halide::Expr& g) const;
  // The epilogue's activation of a value of channel c of group g.
  Halide::Expr activated(const Halide::Expr& value, const Halide::Expr& c,
                         const Halide::Expr& g) const;

 private:
  std::optional<Activation> activation_;
  Halide::ImageParam weight_, bias_, slopes_;
};

// The prologue as a Func of (c, x, y, n): padding is zero, whatever the shift. Takes the prologue's
// constants.
Halide::Func build_prologue(const Conv& conv, const ConvView& view, ConvParameters& parameters);

// The output's buffer with dimensions (c, g, x, y, n), or (c, x, y, n) where there is one group.
BufferLayout conv_output_layout(const ConvView& view);

// Extents of kernels are ints.
inline int narrow(int64_t value) {
  return static_cast<int>(value);
}

}  // namespace emulsion
