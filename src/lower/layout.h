// A simplified network laid out in memory: every value with its descriptor, copies at the network's
// edges, and the layers that need no kernel because their output is a view (a slice of a
// concatenation, a reshape).
#pragma once

#include <vector>

#include "lower/kernel_spec.h"
#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

struct LaidOutNetwork {
  Network network;                            // with Copy layers where layouts meet
  std::vector<TensorDescriptor> descriptors;  // by ValueId
  std::vector<bool> elided;  // by layer: no kernel, its output lies in or over another value
};

// Images channels innermost with the largest rim that any consumer needs; inputs, outputs and
// values of other ranks row-major; concatenations along channels or rows written in place by
// their producers. Channels are not in blocks of a vector: a slice of a concatenation begins at any
// channel and may still be read and written in whole vectors, where blocks would want a copy. With
// 1024 channels pixels lie a page apart and compete for cache lines, which costs 1x1 convs 5 % on
// Sapphire Rapids and more on Zen 4, where tiles with fewer pixels are taken (see step_cycles in
// conv_costs.cpp), or Strassen's algorithm, which has them side by side.
//
// Guarantees, beyond the descriptors': no value is both an input and an output of the network, no
// value is an output twice, and every output is written by a kernel. An elided layer is a Literal
// (its value is a constant laid out by its descriptor), a Concat (its inputs are slices of its
// output), or a Slice or Reshape (its output is a view of its input). Layers are added, never
// removed or reordered.
LaidOutNetwork lay_out(const Network& simplified);

// Where a value's elements are: the value that owns the memory, and the elements from its first
// element to this value's first.
struct Placement {
  ValueId root = -1;
  int64_t offset = 0;
};
Placement placement(const LaidOutNetwork& laid_out, ValueId value);

// The completed spec of a layer that is not elided. choice: empty strings for defaults, which are
// made for so many threads.
Result<KernelSpec> kernel_spec(const LaidOutNetwork& laid_out, int layer,
                               const KernelChoice& choice, const std::string& target,
                               int threads = 1);

}  // namespace emulsion
