// A network as it is scored: one plain op a layer, the final Softmax dropped, batch norms put back
// where an exporter folded them away, weights abstract (they are drawn for each seed), and the
// batch that of a minibatch.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "nest/step.h"
#include "network/network.h"

namespace emulsion {

struct TrainingNetwork {
  Network network;  // one input, one output [N, classes]
  std::vector<std::string>
      draws;               // by layer: the key of its weights' random stream, "" without weights
  std::vector<int> convs;  // by layer: position in conv_layers() of the network it came from, or -1
  int classifier = -1;     // the last layer with weights
  std::vector<int> slots;  // positions in conv_layers() of the network it came from, ascending
  std::vector<ValueId> slot_values;  // each slot's output before its batch norm
};

// One plain op a layer and no final Softmax, for this batch, with the weights, biases and batch
// norms that the network has; no slots. An output that is not [batch, classes], several inputs, and
// shapes that fix the batch are refused, naming the layer.
Result<TrainingNetwork> plain_network(const Network& network, int64_t batch);

// As it is scored at initialisation, from an imported (or simplified) network; refuses what
// plain_network does.
Result<TrainingNetwork> training_network(const Network& network, const std::vector<int>& slots,
                                         int64_t batch);

// A candidate: convs replaced, by position as in plans. It has the original's slots; convs that
// stay keep their random streams, a replacement's are its own.
Result<TrainingNetwork> rewritten(const TrainingNetwork& original,
                                  const std::map<int, Steps>& rewrites);

}  // namespace emulsion
