// Target names as Halide's values; machine.h has the numbers of one, lower.h checks names.
#pragma once

#include <Halide.h>

#include <string>

namespace emulsion {

// Of a name that resolve_target accepts.
Halide::Target halide_target(const std::string& target);

}  // namespace emulsion
