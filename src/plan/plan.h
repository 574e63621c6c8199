// A plan is the only joint between search and code generation: for each conv of a network its
// rewrite and, for each conv that this leaves, its algorithm and schedule. JSON, small, diffable,
// replayed with no search. It belongs to a structure (structure_hash after simplify), not to
// weights or names.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "nest/step.h"
#include "network/element_type.h"
#include "network/network.h"

namespace emulsion {

// How one kernel is computed.
struct KernelChoice {
  std::string algorithm;                   // a row of the algorithms table: "direct"
  std::string schedule;                    // steps in text form; empty: the template's default
  ElementType weights = ElementType::f32;  // as they are stored
  bool operator==(const KernelChoice&) const = default;
};

struct LayerChoice {
  int conv = 0;       // position in conv_layers() of the network before rewriting
  std::string name;   // hint
  std::string shape;  // hint, and checked: "64x32x32 -> 64x32x32 k3x3 s1x1 g1"
  Steps rewrite;      // empty: none
  // One for each conv after the rewrite; empty: as its program steps say, else defaults.
  std::vector<KernelChoice> kernels;
  bool operator==(const LayerChoice&) const = default;
};

// How a network's weights come from memory.
struct WeightStreaming {
  bool huge_pages = true;  // large ones are copied into such pages, where the system has them
  // Of a layer's large weights, what the layer before asks for while it computes.
  int prefetch_next_kb = 0;
  bool operator==(const WeightStreaming&) const = default;
};
inline constexpr int k_most_prefetch_next_kb = 4096;

struct Plan {
  std::string
      network;  // structure_hash of the simplified, unrewritten network; "" for the empty plan
  std::string target;  // the target it was made for; "" for any
  int threads = 1;
  std::vector<LayerChoice> layers;  // ascending conv; convs that are missing have defaults
  // Positions among the network's Dense layers of those whose weights are stored in half precision;
  // ascending.
  std::vector<int> dense_f16 = {};
  WeightStreaming streaming = {};

  bool operator==(const Plan&) const = default;
};

std::string shape_hint(const Network& network, int layer);

std::string to_json(const Plan& plan);
Result<Plan> parse_plan(const std::string& json, const std::string& file_name);

// The rewrites in it, by conv.
std::map<int, Steps> rewrites(const Plan& plan);

// An error unless the plan is one for this (simplified, unrewritten) network; it names what
// differs.
Status check(const Plan& plan, const Network& simplified);

// The plan for the rewritten network: each rewritten conv's kernels become layers of their own.
Plan rewritten_plan(const Plan& plan, const Network& simplified_original,
                    const Network& simplified_rewritten);

}  // namespace emulsion
