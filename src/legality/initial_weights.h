// A network's weights at initialisation: He fan-in normal, the classifier uniform, biases zero.
// Counter-based: a layer's weights depend on the seed and its key alone, on every machine alike.
#pragma once

#include <vector>

#include "legality/training_network.h"

namespace emulsion {

// Of a layer with weights, in the order of its weight's shape (ONNX).
std::vector<float> initial_weights(const TrainingNetwork& network, int layer, uint64_t seed);

// The normal quantile of u in (-1, 1), that is sqrt(2) erfinv(u) (Giles, "Approximating the erfinv
// function", 2010, single precision).
float normal_quantile(float u);

// Whether the convs' weights look as they were drawn: normal or uniform within each output channel,
// as training leaves neither. False for a network without convs large enough to tell.
bool looks_untrained(const Network& network);

}  // namespace emulsion
