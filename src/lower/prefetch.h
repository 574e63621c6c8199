// Prefetching of packed constants and residuals. Inside a network a layer's weights are cold: each
// inference streams all of them from the last cache or from memory, and the hardware's prefetchers
// stop at every page. Loops that stream a large constant therefore ask for the lines that they need
// a little later. A large residual is cold too, and read in pieces when a tile's sums are done;
// these are asked for before the sums. Behind a kernel's constants lie those of the next layer:
// where it is told to, a kernel asks for the first of these while it computes.
#pragma once

#include <Halide.h>

#include <map>
#include <optional>
#include <set>
#include <string>

#include "base/result.h"

namespace emulsion {

// What is asked for, by buffers of a kernel.
struct Prefetched {
  std::set<std::string> streams;  // constants that innermost loops load in order
  std::set<std::string> late;     // loaded by a Func's consumer without loops: before that Func
  // What lies behind the constants: so many bytes, spread evenly over the tiles that are computed
  // from these constants, up to 4 KB a tile; of each constant the bytes from its first to the end
  // of them all.
  int next_bytes = 0;
  std::map<std::string, int64_t> ends = {};
};

// The module with these prefetches, or nothing where it has no place for any.
std::optional<Halide::Module> with_prefetches(const Halide::Module& module,
                                              const Prefetched& prefetched);

// Compiles a module that has prefetches to an object file. Halide's prefetch is always the
// non-temporal one, which bypasses the second-level cache and was measured to be slower than none;
// so the module goes through assembly, in which the hint is replaced, and clang assembles it. x86
// only.
Status compile_with_l2_prefetches(const Halide::Module& module, const std::string& object_path);

}  // namespace emulsion
