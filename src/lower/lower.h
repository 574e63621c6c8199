// Kernel spec -> scheduled Halide pipeline -> object file. The only header of lower/ that shows
// Halide.
#pragma once

#include <Halide.h>

#include <string>
#include <vector>

#include "lower/kernel_spec.h"

namespace emulsion {

struct LoweredKernel {
  std::vector<Halide::Argument> arguments;  // inputs, then packed constants
  Halide::Func output;                      // scheduled
  Halide::Target target;
  // Vectors of this buffer are shuffled within blocks of so many elements (see shuffle.h); 1: none.
  std::string shuffled_buffer;
  int shuffled_block = 1;

  Halide::Pipeline pipeline() const;  // of the output, shuffles included
};

// The scheduled pipeline of a completed spec.
Result<LoweredKernel> lower(const KernelSpec& spec);

// Writes the kernel's object file (no runtime in it) under the symbol kernel_name(spec).
// Halide's exceptions become errors. Large constants are prefetched (see prefetch.h) unless told
// otherwise: a Halide generator's build, which compiles the same pipeline, cannot do that.
Status compile_to_object(const KernelSpec& spec, const std::string& object_path,
                         bool prefetch_constants = true);

// Writes Halide's runtime for a target as an object file.
Status compile_runtime(const std::string& target, const std::string& object_path);

// The canonical name of a target ("host" resolved), or why it is not one we take.
Result<std::string> resolve_target(const std::string& name);
// Floats in one vector register.
int vector_width(const std::string& target);

}  // namespace emulsion
