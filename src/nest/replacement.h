// What a list of steps makes of one conv: a small network that stands in for it, with weights
// inherited from the conv's (abstract where those are).
//
// Program steps in the list are checked against the nests of the convs that they run, and change
// nothing of the network.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nest/nest.h"
#include "network/network.h"

namespace emulsion {

// Input 0 is the conv's; input 1, where the conv's epilogue has a residual, is that. One output. A
// layer's name is what sets it apart from the others ("narrow", "part1"); the layer that makes the
// output, and takes over the conv's name, comes last.
struct Replacement {
  Network network;
  // The convs that the steps after it work on, by part number: indices of layers.
  std::vector<int> mains;
  // How these are run: the program steps, where some come after the last neural step. Else empty:
  // an interchange before a bottleneck says what is to be narrowed, and nothing of a schedule.
  Steps schedule;
};

Result<Replacement> replacement(const Conv& conv, const Shape& input, const Steps& steps);

// What a rewrite leaves of a conv. Computed without weights.
struct RewriteCost {
  int64_t multiplies = 0, weights = 0;
  int convs = 1;
};
Result<RewriteCost> rewrite_cost(const Conv& conv, const Shape& input, const Steps& steps);

// A conv about to be rewritten by one step.
struct RewriteSite {
  const Conv& conv;
  const Shape& input;
  const Nest& nest;  // of the conv, its loops in the order that the steps so far have made
};

// Makes a Replacement: begins with the inputs that the conv has.
class ReplacementBuilder {
 public:
  explicit ReplacementBuilder(const RewriteSite& site);

  ValueId x() const { return 0; }
  ValueId residual() const { return 1; }  // only where the conv's epilogue has one
  const Shape& shape(ValueId value) const { return result_.network.shape(value); }
  ValueId add(const std::string& name, Op op, std::vector<ValueId> inputs);
  // A conv that later steps work on, and that reads the residual where its epilogue says so.
  ValueId add_main(const std::string& name, Conv conv, ValueId x, ValueId residual = -1);
  // The elements from `start` on along one dimension.
  ValueId slice(const std::string& name, ValueId value, int axis, int64_t start, int64_t extent);
  // What the conv does after its sum, written out as layers of their own.
  ValueId epilogue(const Conv& conv, ValueId sum);
  Replacement finish(ValueId output) &&;

 private:
  Replacement result_;
};

// The network with layers replaced (key: index of the layer), each by a network whose inputs and
// output are the layer's. Names that the network has already gain suffixes. came_from, where given:
// for each layer of the result, the layer of `network` that it is or replaces.
Network spliced(const Network& network, const std::map<int, Network>& replacements,
                std::vector<int>* came_from = nullptr);

}  // namespace emulsion
