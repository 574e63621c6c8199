// The kernels of scoring, so that they can be compiled at once beforehand.
#pragma once

#include <map>
#include <vector>

#include "legality/conv_engine.h"
#include "legality/training_network.h"
#include "lower/kernel_spec.h"

namespace emulsion {

// The kernels that scoring runs for the original and for each of these rewrites of each slot,
// completed: compile them at once beforehand, or each will be compiled at its first use.
Result<std::vector<KernelSpec>> training_kernels(const TrainingNetwork& original,
                                                 const std::map<int, std::vector<Steps>>& rewrites,
                                                 const std::string& target);

// The convs that a pass through the network runs: forward, and backward too, but for those that
// read the network's input (a stem is never differentiated).
void add_conv_uses(const Network& network, bool backward, std::vector<ConvUse>& uses);

// The convs that scoring these networks runs, forward and backward.
std::vector<ConvUse> training_convs(const std::vector<TrainingNetwork>& networks);

}  // namespace emulsion
