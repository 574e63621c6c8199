// The space that is searched: for each slot of a network the rewrites it may take, and
// configurations (one choice a slot) drawn from it at random.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nest/step.h"
#include "network/network.h"

namespace emulsion {

struct SlotChoice {
  Steps rewrite;  // empty: none
  int64_t multiplies = 0;
};

struct SpaceSlot {
  int conv = 0;  // position in conv_layers()
  std::string name;
  std::vector<SlotChoice> choices;  // the first: no rewrite; the others by falling multiplies
  Shape weight, output;             // of the conv
};

struct SearchSpace {
  std::vector<SpaceSlot> slots;  // ascending conv
  int64_t multiplies = 0;        // of the whole network without rewrites
};

// slots: a regular expression; convs whose names it matches are the slots, whatever would exclude
// them. freeze: convs whose names it matches are no slots. Empty: FISHER.md's slots, none frozen.
// More than k_most_groups groups (short of depthwise) are left out: the paper's space stops there
// too. rewrites: only those whose text it matches.
inline constexpr int k_most_groups = 16;
Result<SearchSpace> search_space(const Network& network, const std::string& slots,
                                 const std::string& freeze, const std::string& rewrites = "");

// An index into choices for each slot.
using Configuration = std::vector<int>;

// The index-th configuration for a seed. Each has its own probability of leaving a slot alone and
// its own leaning to cheap rewrites, so that together they cover a range of speed-ups.
Configuration random_configuration(const SearchSpace& space, uint64_t seed, int index);

// The same with abstract weights: kernels and costs do not depend on them, and inheriting them is
// slow.
Network without_weights(Network network);

std::map<int, Steps> rewrites(const SearchSpace& space, const Configuration& configuration);
int64_t multiplies(const SearchSpace& space, const Configuration& configuration);
// What tells configurations apart in files: a hash of their rewrites, whatever else is in the
// space.
std::string configuration_key(const SearchSpace& space, const Configuration& configuration);

}  // namespace emulsion
