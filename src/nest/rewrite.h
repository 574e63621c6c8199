// Rewrites: lists of steps that change what a conv computes. One table of rules; apply_rewrites
// replaces convs of a network and gives the new convs weights inherited from the old (slices for
// groups, a truncated SVD for bottlenecks).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nest/nest.h"
#include "network/network.h"

namespace emulsion {

// One row of the table of rewrites.
struct RewriteRule {
  const char* name;      // "group"
  const char* sentence;  // what it is, in one sentence
  // All instances that apply to this conv: group 2, group 4, ...
  std::vector<Steps> (*instances)(const Nest& nest);
};
const std::vector<RewriteRule>& rewrite_rules();

// Every rewrite of every rule that this conv takes, in the table's order.
std::vector<Steps> rewrites_of(const Conv& conv, const Shape& input);

// Why a conv is not a slot (its rewriting is not offered): it reads the network's input, it has a
// 1x1 output, it is a shortcut, ... (FISHER.md's list.) Empty when it is a slot.
std::string slot_exclusion(const Network& network, int layer);
// Positions in conv_layers(network) of the slots.
std::vector<int> slots(const Network& network);

// The convs that replace one conv, in order, each reading the last one's output, inheriting its
// weights (when those are concrete). Bias, epilogue go to the last, prologue to the first.
Result<std::vector<Conv>> rewritten(const Conv& conv, const Shape& input, const Steps& steps);

// The network with convs replaced: key = position in conv_layers(network). Names gain suffixes.
Result<Network> apply_rewrites(const Network& network, const std::map<int, Steps>& rewrites);

}  // namespace emulsion
