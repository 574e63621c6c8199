// Rewrites: lists of steps that change what a conv computes. apply_rewrites replaces convs of a
// network (replacement.h makes the replacements, rewrite_table.h has the table of rewrites), and
// gives the new convs weights inherited from the old.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nest/replacement.h"
#include "nest/slots.h"
#include "network/network.h"

namespace emulsion {

// Every rewrite of every rule that this conv takes and that saves multiplies, in the table's order.
std::vector<Steps> rewrites_of(const Conv& conv, const Shape& input);

// The network with convs replaced: key = position in conv_layers(network). Names gain suffixes.
// came_from, where given: for each layer of the result, the layer of `network` that it is or
// replaces.
Result<Network> apply_rewrites(const Network& network, const std::map<int, Steps>& rewrites,
                               std::vector<int>* came_from = nullptr);

// What is left of a conv.
struct ConvsLeft {
  int count = 1;
  // Those, by number from 0 in the order of conv_layers, that the list's program steps schedule.
  std::vector<int> scheduled;
  Steps schedule;
};

// Of each conv of the network, by position in conv_layers(network).
Result<std::vector<ConvsLeft>> convs_after(const Network& network,
                                           const std::map<int, Steps>& rewrites);

}  // namespace emulsion
