// The lets around an expression of Halide's lowered code.
#pragma once

#include <Halide.h>

#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// Names and what they stand for, outermost first.
using Lets = std::vector<std::pair<std::string, Halide::Expr>>;

// The expression in terms of what lies outside all of them.
inline Halide::Expr substitute_lets(const Lets& lets, Halide::Expr e) {
  for (auto let = lets.rbegin(); let != lets.rend(); ++let)
    e = Halide::Internal::substitute(let->first, let->second, e);
  return e;
}

}  // namespace emulsion
