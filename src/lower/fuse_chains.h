// Which convs become chains (conv_chain.h): those that a plan names, and where it names nothing
// those that the cost model expects to pay for themselves, because what lies between them is larger
// than a cache; and a network with given chains.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

// In a plan the last conv of a chain has the algorithm k_fused, those before it k_fused_into_next.
inline constexpr const char* k_fused = "fused";
inline constexpr const char* k_fused_into_next = "fused_into_next";

// Convs that one kernel computes, two or more, by position in conv_layers(network).
using Chains = std::vector<std::vector<int>>;

// choices: by position in conv_layers(network). An error when they name a chain that is none.
Result<Chains> choose_chains(const Network& network, const std::map<int, KernelChoice>& choices,
                             const std::string& target, int threads);
// All that there are kernels for, those that overlap too.
Chains possible_chains(const Network& network, const std::string& target, int threads);

struct ChainedNetwork {
  Network network;  // a chain is one layer, where its last conv was
  // Of each layer that is a conv or a chain, in order: its convs' positions among those of the
  // network before.
  std::vector<std::vector<int>> convs;
};

// Chains must be possible, and none may share a conv with another.
ChainedNetwork fuse_chains(const Network& network, const Chains& chains);

}  // namespace emulsion
