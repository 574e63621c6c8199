// A trained network in evaluation mode, as a training pass goes through it: one plain op a layer,
// its own weights and biases, batch norms with their running statistics (as per-channel affines),
// no final Softmax.
#pragma once

#include <vector>

#include "legality/pass.h"
#include "network/network.h"

namespace emulsion {

// A conv that may be rewritten, and the place behind it where a rewrite's error is measured.
struct TrainedSlot {
  int conv = 0;         // position in conv_layers()
  int layer = 0;        // of the plain network
  ValueId input = -1;   // what the conv reads
  ValueId output = -1;  // of the batch norm behind it, or of the conv itself when there is none (an
                        // exporter folds it away)
  Constant scale, shift;  // the norm's; null without one
  double epsilon = 0;
};

struct TrainedNetwork {
  Network network;
  std::vector<TrainedSlot> slots;  // ascending conv
};

// From an imported (or simplified) network with weights, for this batch. Refuses what plain_network
// does, and convs that there are not.
Result<TrainedNetwork> trained_network(const Network& network, const std::vector<int>& convs,
                                       int64_t batch);

// The weights that the layers themselves hold; copies of the source share what an engine packs.
WeightSource<float> own_weights(const Network& network);

// y = scale x + shift, as this batch norm computes it with its running statistics.
Affine as_affine(const BatchNorm& norm);

}  // namespace emulsion
