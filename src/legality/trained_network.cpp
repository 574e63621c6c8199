#include "legality/trained_network.h"

#include <cmath>

#include "legality/training_network.h"

namespace emulsion {

Affine as_affine(const BatchNorm& norm) {
  const size_t channels = norm.scale->data.size();
  std::vector<float> scale(channels), shift(channels);
  for (size_t c = 0; c < channels; ++c) {
    const double s = norm.scale->data[c] / std::sqrt(double{norm.variance->data[c]} + norm.epsilon);
    scale[c] = static_cast<float>(s);
    shift[c] = static_cast<float>(norm.shift->data[c] - s * norm.mean->data[c]);
  }
  const Shape shape = norm.scale->shape;
  return {constant(shape, std::move(scale)), constant(shape, std::move(shift)), {}};
}

Result<TrainedNetwork> trained_network(const Network& network, const std::vector<int>& convs,
                                       int64_t batch) {
  TRY(const TrainingNetwork plain, plain_network(network, batch));
  TrainedNetwork result{plain.network, {}};
  const std::vector<std::vector<int>> readers = consumers(plain.network);
  for (const int conv : convs) {
    const auto found = std::find(plain.convs.begin(), plain.convs.end(), conv);
    if (found == plain.convs.end()) return error("{} has no conv {}", network.name, conv);
    TrainedSlot slot;
    slot.conv = conv;
    slot.layer = static_cast<int>(found - plain.convs.begin());
    const Layer& layer = plain.network.layers[slot.layer];
    slot.input = layer.inputs[0];
    slot.output = layer.output;
    if (readers[layer.output].size() == 1) {
      const Layer& reader = plain.network.layers[readers[layer.output][0]];
      if (const auto* norm = std::get_if<BatchNorm>(&reader.op)) {
        slot.output = reader.output;
        slot.scale = norm->scale;
        slot.shift = norm->shift;
        slot.epsilon = norm->epsilon;
      }
    }
    result.slots.push_back(std::move(slot));
  }
  for (Layer& layer : result.network.layers) {
    for (const Constant& c : constants(std::as_const(layer.op))) {
      if (c && c->abstract()) {
        return error("layer '{}' has no weights: a trained network is needed", layer.name);
      }
    }
    if (const auto* norm = std::get_if<BatchNorm>(&layer.op)) layer.op = as_affine(*norm);
  }
  return result;
}

WeightSource<float> own_weights(const Network& network) {
  std::vector<LayerWeights<float>> weights(network.layers.size());
  for (size_t i = 0; i < network.layers.size(); ++i) {
    const Op& op = network.layers[i].op;
    Constant own;
    if (const auto* conv = std::get_if<Conv>(&op)) own = conv->weight;
    if (const auto* dense = std::get_if<Dense>(&op)) own = dense->weight;
    if (!own) continue;
    weights[i] = {std::shared_ptr<const Weights<float>>(own, &own->data),
                  std::make_shared<PackedWeights>()};
  }
  return [weights = std::move(weights)](int layer) { return weights[layer]; };
}

}  // namespace emulsion
