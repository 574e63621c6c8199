// The kernels of scoring, so that they can be compiled at once beforehand.
#pragma once

#include <map>
#include <vector>

#include "legality/training_network.h"
#include "lower/kernel_spec.h"

namespace emulsion {

// The kernels that scoring runs for the original and for each of these rewrites of each slot,
// completed: compile them at once beforehand, or each will be compiled at its first use.
Result<std::vector<KernelSpec>> training_kernels(const TrainingNetwork& original,
                                                 const std::map<int, std::vector<Steps>>& rewrites,
                                                 const std::string& target);

}  // namespace emulsion
