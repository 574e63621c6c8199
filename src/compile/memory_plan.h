// Static offsets of a network's values in one workspace, so that running it allocates nothing.
//
// Values whose lifetimes do not meet share memory. A value with a rim shares only with values of
// the same geometry: rims are zeroed once, when the workspace is made, and no kernel ever writes
// them. A conv that reads a residual for the last time may leave its output in the residual's
// place, which is in the caches already.
#pragma once

#include <vector>

#include "lower/layout.h"

namespace emulsion {

struct MemoryPlan {
  // By ValueId: where the element (0, 0, ...) lies, in elements from the start of the workspace; a
  // multiple of 16 (64 bytes) for values that own their memory. -1: not in the workspace (network
  // inputs and outputs, literals and views of those).
  std::vector<int64_t> offsets;
  int64_t elements = 0;  // of the workspace
  // By ValueId: the residual that the value takes the place of, or -1.
  std::vector<ValueId> overwritten;
};

// may_overwrite, by layer: whether its kernel may write its output over its residual
// (may_overwrite_residual() of its spec). Missing ones may not.
MemoryPlan plan_memory(const LaidOutNetwork& laid_out, const std::vector<bool>& may_overwrite = {});

// By ValueId, for values that own workspace memory: the first layer that writes it or a view of it
// and the last that reads either; {-1, -1} for all others.
struct Lifetime {
  int first = -1, last = -1;
  bool meets(const Lifetime& other) const { return first <= other.last && other.first <= last; }
};
std::vector<Lifetime> lifetimes(const LaidOutNetwork& laid_out);

}  // namespace emulsion
