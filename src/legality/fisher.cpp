#include "legality/fisher.h"

#include <cmath>

#include "legality/channel_loops.h"
#include "legality/initial_weights.h"
#include "legality/training_rules.h"

namespace emulsion {
namespace {

// 1/(2N) sum_{n,c} (sum_yx A g)^2
template <class T>
double slot_score(const Array<T>& a, const Array<T>& g) {
  const Shape& s = a.shape;
  const int64_t c = s[1], pixels = s[2] * s[3];
  double total = 0;
  std::vector<double> sums(c);
  for (int64_t n = 0; n < s[0]; ++n) {
    std::fill(sums.begin(), sums.end(), 0.0);
    const int64_t at = n * pixels * c;
    channel_products(&a.data[at], &g.data[at], pixels, c, sums.data());
    for (const double sum : sums) total += sum * sum;
  }
  return total / (2.0 * static_cast<double>(s[0]));
}

Status check(const TrainingNetwork& network, const Shape& images, const std::vector<int>& labels) {
  const Shape& expected = network.network.shape(network.network.inputs[0]);
  const int64_t classes = network.network.shape(network.network.outputs[0])[1];
  if (images != expected) {
    return error("the minibatch has shape {}, the network expects {}", to_text(images),
                 to_text(expected));
  }
  if (static_cast<int64_t>(labels.size()) != images[0]) {
    return error("{} images have {} labels", images[0], labels.size());
  }
  for (const int label : labels) {
    if (label < 0 || label >= classes) {
      return error("label {} is outside the network's {} classes", label, classes);
    }
  }
  return ok();
}

}  // namespace

template <class T>
Result<FisherScore> fisher_score(const TrainingNetwork& network, const Array<T>& images,
                                 const std::vector<int>& labels, const WeightSource<T>& weights,
                                 ConvEngine<T>& engine, double enough,
                                 const ScoredPrefix<T>& prefix) {
  TRY_OK(check(network, images.shape, labels));
  TrainingPass<T> pass(network.network, weights, engine);
  for (const ValueId value : network.slot_values) pass.observe(value);
  if (prefix.pass) pass.start_from(*prefix.pass, prefix.layers);
  TRY_OK(pass.forward(images));
  FisherScore score;
  score.slots.resize(network.slots.size(), 0.0);
  score.mean_loss = pass.cross_entropy(labels) / static_cast<double>(labels.size());
  const auto add = [&](ValueId value) -> Result<bool> {
    const double term = slot_score(pass.value(value), pass.gradient(value));
    for (size_t s = 0; s < score.slots.size(); ++s) {
      if (network.slot_values[s] != value) continue;
      score.slots[s] = term;
      score.total += term;
    }
    score.complete = score.total <= enough;
    return score.complete;
  };
  TRY_OK(pass.backward(add));
  if (!score.complete) return score;
  score.total = 0;  // in the slots' order
  for (const double s : score.slots) score.total += s;
  return score;
}

template Result<FisherScore> fisher_score(const TrainingNetwork&, const Array<float>&,
                                          const std::vector<int>&, const WeightSource<float>&,
                                          ConvEngine<float>&, double, const ScoredPrefix<float>&);
template Result<FisherScore> fisher_score(const TrainingNetwork&, const Array<double>&,
                                          const std::vector<int>&, const WeightSource<double>&,
                                          ConvEngine<double>&, double, const ScoredPrefix<double>&);

Result<FisherScore> fisher_score(const TrainingNetwork& network, const Minibatch& minibatch,
                                 uint64_t seed, ConvEngine<float>& engine) {
  return fisher_score<float>(
      network, to_array<float>(minibatch.images), minibatch.labels,
      [&](int layer) { return initial_weights(network, layer, seed); }, engine);
}

template <class T>
Result<double> training_loss(const TrainingNetwork& network, const Array<T>& images,
                             const std::vector<int>& labels, const WeightSource<T>& weights,
                             ConvEngine<T>& engine,
                             const std::function<void(ValueId, Array<T>&)>& edit) {
  TRY_OK(check(network, images.shape, labels));
  TrainingPass<T> pass(network.network, weights, engine);
  TRY_OK(pass.forward(images, edit));
  return pass.cross_entropy(labels);
}

template Result<double> training_loss(const TrainingNetwork&, const Array<float>&,
                                      const std::vector<int>&, const WeightSource<float>&,
                                      ConvEngine<float>&,
                                      const std::function<void(ValueId, Array<float>&)>&);
template Result<double> training_loss(const TrainingNetwork&, const Array<double>&,
                                      const std::vector<int>&, const WeightSource<double>&,
                                      ConvEngine<double>&,
                                      const std::function<void(ValueId, Array<double>&)>&);

}  // namespace emulsion
