#include "legality/initial_weights.h"

#include <cmath>

#include "base/random.h"

namespace emulsion {
namespace {

// The smallest fan-in whose channels are normalised by their own deviation without a bias that
// matters here.
constexpr int64_t k_telling_fan_in = 128;
constexpr double k_normal_kurtosis = 3.0, k_uniform_kurtosis = 1.8, k_kurtosis_tolerance = 0.15;

// Mean over output channels of the fourth moment over the squared second one.
double mean_kurtosis(const Tensor& weight) {
  const int64_t channels = weight.shape[0], fan_in = element_count(weight.shape) / channels;
  double total = 0;
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0, second = 0, fourth = 0;
    for (int64_t i = 0; i < fan_in; ++i) sum += weight.data[c * fan_in + i];
    const double n = static_cast<double>(fan_in), mean = sum / n;
    for (int64_t i = 0; i < fan_in; ++i) {
      const double d = weight.data[c * fan_in + i] - mean;
      second += d * d;
      fourth += d * d * d * d;
    }
    total += second > 0 ? n * fourth / (second * second) : 0;
  }
  return total / static_cast<double>(channels);
}

}  // namespace

float normal_quantile(float u) {
  float w = -std::log((1.0f - u) * (1.0f + u));
  float p;
  if (w < 5.0f) {
    w -= 2.5f;
    p = 2.81022636e-08f;
    for (const float c : {3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
                          -0.00125372503f, -0.00417768164f, 0.246640727f, 1.50140941f}) {
      p = c + p * w;
    }
  } else {
    w = std::sqrt(w) - 3.0f;
    p = -0.000200214257f;
    for (const float c : {0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
                          -0.0076224613f, 0.00943887047f, 1.00167406f, 2.83297682f}) {
      p = c + p * w;
    }
  }
  return 1.41421356f * p * u;
}

std::vector<float> initial_weights(const TrainingNetwork& network, int layer, uint64_t seed) {
  const Op& op = network.network.layers[layer].op;
  const auto* conv = std::get_if<Conv>(&op);
  const Shape& shape = conv ? conv->weight->shape : std::get<Dense>(op).weight->shape;
  const int64_t count = element_count(shape), fan_in = count / shape[0];
  const RandomStream random(seed, network.draws[layer]);
  std::vector<float> weights(count);
  // Two draws of 23 bits from each word; the half keeps them off 0 and 1.
  const auto symmetric = [](uint64_t bits23) {
    return (static_cast<float>(bits23) + 0.5f) * 0x1p-22f - 1.0f;
  };
  for (int64_t i = 0; i < count; i += 2) {
    const uint64_t word = random.bits(static_cast<uint64_t>(i / 2));
    weights[i] = symmetric(word >> 41);
    if (i + 1 < count) weights[i + 1] = symmetric(word & 0x7fffff);
  }
  if (layer == network.classifier) {
    const float bound = 1.0f / std::sqrt(static_cast<float>(fan_in));
    for (float& w : weights) w *= bound;
  } else {
    const float deviation = std::sqrt(2.0f / static_cast<float>(fan_in));
    for (float& w : weights) w = deviation * normal_quantile(w);
  }
  return weights;
}

bool looks_untrained(const Network& network) {
  int drawn = 0, telling = 0;
  for (const Layer& layer : network.layers) {
    const auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv || conv->weight->abstract()) continue;
    const Tensor& weight = *conv->weight;
    if (element_count(weight.shape) < k_telling_fan_in * weight.shape[0]) continue;
    const double kurtosis = mean_kurtosis(weight);
    const bool as_drawn = std::abs(kurtosis - k_normal_kurtosis) < k_kurtosis_tolerance ||
                          std::abs(kurtosis - k_uniform_kurtosis) < k_kurtosis_tolerance;
    ++telling;
    drawn += as_drawn;
  }
  return telling > 0 && drawn * 10 >= telling * 9;
}

}  // namespace emulsion
