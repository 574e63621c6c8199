// Prefetching of packed constants and residuals. Inside a network a layer's weights are cold: each
// inference streams all of them from the last cache or from memory, and the hardware's prefetchers
// stop at every page. Loops that stream a large constant therefore ask for the lines that they need
// a little later. A large residual is cold too, and read in pieces when a tile's sums are done;
// these are asked for before the sums.
#pragma once

#include <Halide.h>

#include <optional>
#include <set>
#include <string>

#include "base/result.h"

namespace emulsion {

// The module with a prefetch for each vector that an innermost loop loads from one of these
// constants, or that is loaded from a late buffer once a Func without loops has been computed; or
// nothing where there is neither.
std::optional<Halide::Module> with_prefetches(const Halide::Module& module,
                                              const std::set<std::string>& constants,
                                              const std::set<std::string>& late);

// Compiles a module that has prefetches to an object file. Halide's prefetch is always the
// non-temporal one, which bypasses the second-level cache and was measured to be slower than none;
// so the module goes through assembly, in which the hint is replaced, and clang assembles it. x86
// only.
Status compile_with_l2_prefetches(const Halide::Module& module, const std::string& object_path);

}  // namespace emulsion
