// An Activation as a Halide expression.
#pragma once

#include <Halide.h>

#include "network/op.h"

namespace emulsion {

// slope: prelu's, at the element that x is; other kinds take none.
Halide::Expr activate(const Activation& activation, Halide::Expr x,
                      Halide::Expr slope = Halide::Expr());
// activate, or x itself when there is none.
Halide::Expr activate(const std::optional<Activation>& activation, Halide::Expr x,
                      Halide::Expr slope = Halide::Expr());

// x^y, NaN where x < 0 and y is no integer.
Halide::Expr power_of(const Halide::Expr& x, const Halide::Expr& y);

// About how many operations an element takes; 0 for none.
double activation_cost(const std::optional<Activation>& activation);

// The constant that a packed prelu adds to a kernel's arguments, or null.
inline Constant slope_of(const std::optional<Activation>& activation) {
  return activation && activation->kind == Activation::Kind::prelu ? activation->slope : nullptr;
}

}  // namespace emulsion
