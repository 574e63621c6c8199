// manifest.json: what a compiled library is made of, for people and machines.
#pragma once

#include <string>

#include "compile/compile_network.h"
#include "compile/driver.h"

namespace emulsion {

std::string manifest_json(const CompiledNetwork& compiled, const Driver& driver,
                          const CompileOptions& options);

}  // namespace emulsion
