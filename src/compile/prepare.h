// From a network and a plan to everything that code is generated from: the rewritten, simplified,
// laid out network, and a completed kernel spec for each call.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "lower/fuse_chains.h"
#include "lower/layout.h"
#include "plan/plan.h"

namespace emulsion {

// Where a conv of the rewritten network comes from.
struct ConvOrigin {
  int conv = 0;  // position in conv_layers of the unrewritten network
  int part = 0;  // which of the convs that the rewrite leaves
  int parts = 1;
  Steps rewrite;
};

struct KernelCall {
  int layer = 0;                  // of laid_out.network
  std::vector<ConvOrigin> convs;  // one, several for a chain, none for other layers
  int dense = -1;                 // position among the Dense layers; -1: not one
  KernelSpec spec;                // completed
};

struct PreparedNetwork {
  Network simplified;       // not rewritten: what plans belong to
  LaidOutNetwork laid_out;  // rewritten
  std::vector<KernelCall> calls;
  WeightStreaming streaming;  // as the plan has it
};

// A network with a plan's rewrites, and what the plan says about it.
struct RewrittenNetwork {
  Network simplified;  // not rewritten
  Network rewritten;   // and simplified
  // By position in conv_layers(rewritten).
  std::vector<ConvOrigin> origins;
  std::map<int, KernelChoice> choices;
  // As in the plan.
  std::vector<int> dense_f16;
  WeightStreaming streaming;
};

// `network` is as imported. An error when the plan is not for it.
Result<RewrittenNetwork> apply_plan(const Network& network, const Plan& plan);

// With these convs as chains. An error when a choice does not apply.
Result<PreparedNetwork> prepare(const RewrittenNetwork& network, const Chains& chains,
                                const std::string& target, int threads);
// With chains as the plan has them, or by default. threads: that default schedules are made for.
Result<PreparedNetwork> prepare(const Network& network, const Plan& plan, const std::string& target,
                                int threads = 1);

std::vector<KernelSpec> specs_of(const PreparedNetwork& prepared);  // one a call
// The spec for another call of the same kernel: its weights are its own.
KernelSpec with_op(KernelSpec spec, const Op& op);

// Lets the calls before those with large weights prefetch what `streaming` says of these. Their
// kernels are for this network then, no longer those that a search compares.
void prefetch_next_weights(PreparedNetwork& prepared);

// The plan that says all of it: rewrites, algorithms and schedules of every conv, defaults spelled
// out.
Plan explicit_plan(const PreparedNetwork& prepared, const std::string& target, int threads);

}  // namespace emulsion
