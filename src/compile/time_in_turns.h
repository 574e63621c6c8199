// Two compiled networks timed in turns, so that both meet the same machine.
#pragma once

#include "autoschedule/records.h"
#include "compile/loaded_network.h"

namespace emulsion {

struct TurnOptions {
  int least = 6, most = 24;     // turns
  int calm = 4;                 // turns without a new minimum, after which there are no more
  double seconds = 0.15;        // of each network, a turn
  double layers_seconds = 0.4;  // 0: not call by call
};

// Least of the minima and middle of the medians over the turns; then the changed one call by call.
Result<NetworkRecord> time_in_turns(LoadedNetwork& original, LoadedNetwork& changed,
                                    const TurnOptions& options = {});

}  // namespace emulsion
