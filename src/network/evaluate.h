// The plain reference: loops as in the definitions, sums in double, no layout, no tricks. Every
// fast path is checked against it. Slow on purpose.
#pragma once

#include <vector>

#include "network/network.h"

namespace emulsion {

// The output of one op on concrete inputs.
Tensor evaluate(const Op& op, const std::vector<Tensor>& inputs);

// Every value of the network, by ValueId. Inputs in the order of network.inputs; shapes must fit.
Result<std::vector<Tensor>> evaluate_all(const Network& network, const std::vector<Tensor>& inputs);

// The network's outputs.
Result<std::vector<Tensor>> evaluate(const Network& network, const std::vector<Tensor>& inputs);

}  // namespace emulsion
