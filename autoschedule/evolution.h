// Evolutionary search over whole-network plans: a population on the front of (time, loss), whose
// children take each slot's choice from one of two parents, now and then another.
#pragma once

#include "autoschedule/additive_table.h"

namespace emulsion {

// The front found by looking at so many configurations, slowest first. Same seed, same front.
std::vector<Configuration> evolve(const SearchSpace& space, const AdditiveTable& table,
                                  int configurations, uint64_t seed);

}  // namespace emulsion
