// The same function with fewer layers: one visible, ordered list of passes, each Network ->
// Network. Numerically equal up to rounding; nothing here changes what is computed.
#pragma once

#include <vector>

#include "network/network.h"

namespace emulsion {

struct SimplifyPass {
  const char* name;
  const char* sentence;
  Network (*run)(const Network& network);
};
// In the order they run.
const std::vector<SimplifyPass>& reform_passes();
const std::vector<SimplifyPass>& simplify_passes();

// What exporters take apart or write for another order of dimensions, put together: the reform
// passes in order, until nothing changes. No later pass makes or removes a conv, so that
// conv_layers() of the result is that of simplify(network): whoever changes convs of a network that
// is not simplified does so after this.
Network reform(const Network& network);

// reform, then the other passes in order, until nothing changes. The network must verify(); it does
// so after each pass. What is done depends on structure and on the numbers in the formulas of known
// layers (a GELU's 1/2), not on weights (save where folding would overflow).
Network simplify(const Network& network);

}  // namespace emulsion
