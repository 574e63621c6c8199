// Two compiled networks timed in turns, so that both meet the same machine.
#pragma once

#include "autoschedule/records.h"
#include "compile/loaded_network.h"

namespace emulsion {

// Least of the minima and middle of the medians over the turns; then the changed one call by call.
Result<NetworkRecord> time_in_turns(LoadedNetwork& original, LoadedNetwork& changed);

}  // namespace emulsion
