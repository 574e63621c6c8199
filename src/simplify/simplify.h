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
const std::vector<SimplifyPass>& simplify_passes();

// All passes in order, until nothing changes. The network must verify(); it does so after each
// pass. What is done depends on structure alone, not on weights (save where folding would
// overflow).
Network simplify(const Network& network);

}  // namespace emulsion
