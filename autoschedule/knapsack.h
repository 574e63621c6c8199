// The exact Pareto front of an additive table: the multiple-choice knapsack (one choice a slot,
// least loss for each time) by dynamic programming over lists of undominated partial sums
// (Nemhauser, Ullmann, "Discrete dynamic programming and capital allocation", 1969).
#pragma once

#include "autoschedule/additive_table.h"

namespace emulsion {

// Partial sums kept at most. Beyond it only the one with the least loss of each of so many equal
// intervals of time stays, which makes a network of s slots slower than the true front's by at most
// s / most_states of the range of times: 0.4 % for 32 slots.
inline constexpr int k_most_states = 8192;

// The configurations on the front, slowest first: times fall strictly and losses rise strictly.
// Choices whose time is not finite are never taken. Of equals the one with the lower indices
// counts.
std::vector<Configuration> exact_front(const AdditiveTable& table, int most_states = k_most_states);

}  // namespace emulsion
