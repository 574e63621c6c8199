// Slots: the convs of a network that are offered for rewriting (FISHER.md's list of exclusions).
#pragma once

#include <string>
#include <vector>

#include "network/network.h"

namespace emulsion {

// Why a conv is not a slot: it reads the network's input, it has a 1x1 output, it is a shortcut,
// ... Empty when it is a slot.
std::string slot_exclusion(const Network& network, int layer);
// Positions in conv_layers(network) of the slots.
std::vector<int> slots(const Network& network);

}  // namespace emulsion
