// emulsion inspect --space: what one conv could become, and what it refuses and why.
#pragma once

#include <string>

#include "network/network.h"

namespace emulsion {

// layer: a conv's name, or its position among the convs. On a simplified network.
Status inspect_space(const Network& network, const std::string& layer, bool json);

}  // namespace emulsion
