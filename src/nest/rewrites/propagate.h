// The propagated bottleneck: it changes the layers after a conv, and so works on the network.
#pragma once

#include "nest/step.h"
#include "network/network.h"

namespace emulsion {

bool is_propagated(const Step& step);

// The network in which a conv makes co/b channels and all layers that its output reaches, up to the
// convs and dense layers that mix them, take those; or the layer that needs them all. Layers keep
// their places. The channels with the largest weights are kept.
Result<Network> propagate_bottleneck(const Network& network, int layer, const Step& step);

}  // namespace emulsion
