// The small residual network that PyTorch trained (make_inherit_vectors.py), with its images and
// what PyTorch says of its rewrites.
#pragma once

#include <nlohmann/json.hpp>

#include "legality/fisher.h"

namespace emulsion::testing {

struct TrainedResnet {
  Network network;  // convs: stem 0, a1 1, a2 2, b1 3, b2 4, shortcut 5
  Minibatch minibatch;
  nlohmann::json vectors;
};

// As a framework saves it, or as an exporter does: batch norms folded into the convs.
TrainedResnet trained_resnet(bool folded = false);

}  // namespace emulsion::testing
