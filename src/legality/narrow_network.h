// A network with a fraction of the channels: what screening scores in place of the network itself.
// Its scores rank rewrites as the full width does, for a fraction of the work.
#pragma once

#include "legality/training_network.h"

namespace emulsion {

// Every channel count but the input's and the classes divided by the factor; the slots, the random
// streams' keys and the convs' numbers stay. Refuses where a count does not divide, naming the
// layer.
Result<TrainingNetwork> narrow_network(const TrainingNetwork& network, int factor);

}  // namespace emulsion
