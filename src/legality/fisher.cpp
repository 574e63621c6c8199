#include "legality/fisher.h"

#include <cmath>

#include "legality/initial_weights.h"
#include "legality/training_rules.h"

namespace emulsion {
namespace {

// One forward and backward pass. Values are freed as soon as nothing needs them any more.
template <class T>
class Pass {
 public:
  Pass(const TrainingNetwork& training, const Array<T>& images, const std::vector<int>& labels,
       const WeightSource<T>& source, ConvEngine<T>& engine)
      : training_(training),
        network_(training.network),
        images_(images),
        labels_(labels),
        source_(source),
        engine_(engine),
        values_(network_.values.size()),
        gradients_(network_.values.size()),
        weights_(network_.layers.size()),
        saved_(network_.layers.size()) {}

  // The summed cross-entropy. backward_follows: keep what backward reads.
  Result<double> forward(bool backward_follows,
                         const std::function<void(ValueId, Array<T>&)>& edit = nullptr) {
    find_needs(backward_follows);
    values_[network_.inputs[0]] = images_;
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const Layer& layer = network_.layers[i];
      if (!training_.draws[i].empty()) weights_[i] = source_(static_cast<int>(i));
      LayerPass<T> pass = layer_pass(i);
      TRY_OK(run(training_rule<T>(layer.op), &TrainingRule<T>::forward, layer, pass));
      if (edit) edit(layer.output, values_[layer.output]);
      if (!differentiated_[i]) weights_[i] = {};
      for (const ValueId input : layer.inputs) {
        if (--reads_left_[input] == 0) free(values_[input]);
      }
    }
    return cross_entropy();
  }

  Result<FisherScore> backward() {
    FisherScore score;
    score.slots.resize(training_.slots.size(), 0.0);
    for (int i = static_cast<int>(network_.layers.size()) - 1; i >= 0; --i) {
      const Layer& layer = network_.layers[i];
      Array<T>& gradient = gradients_[layer.output];
      if (gradient.empty()) continue;
      for (size_t s = 0; s < training_.slot_values.size(); ++s) {
        if (training_.slot_values[s] != layer.output) continue;
        score.slots[s] = slot_score(values_[layer.output], gradient);
      }
      if (differentiated_[i]) TRY_OK(backward(i, gradient));
      free(gradient);
      free(values_[layer.output]);
      weights_[i] = {};
      saved_[i] = {};
    }
    for (const double s : score.slots) score.total += s;
    score.mean_loss = loss_ / static_cast<double>(labels_.size());
    return score;
  }

 private:
  static void free(Array<T>& array) { array.data = {}; }

  LayerPass<T> layer_pass(size_t i) {
    const Layer& layer = network_.layers[i];
    LayerPass<T> pass{layer.op, engine_, weights_[i]};
    for (const ValueId input : layer.inputs) pass.inputs.push_back(&values_[input]);
    pass.output = &values_[layer.output];
    pass.saved = &saved_[i];
    return pass;
  }

  Status run(const TrainingRule<T>* rule, Status (*TrainingRule<T>::*function)(LayerPass<T>&),
             const Layer& layer, LayerPass<T>& pass) {
    if (!rule) {
      return error("layer '{}': scoring cannot go through a {}", layer.name, op_name(layer.op));
    }
    Status status = (rule->*function)(pass);
    if (!status.ok()) return status.error().in(fmt::format("layer '{}'", layer.name));
    return ok();
  }

  // Which values have a gradient worth having (slots, and what depends on them), which layers
  // backward goes through, and how many readers each value has before it can be freed.
  void find_needs(bool backward_follows) {
    wanted_.assign(network_.values.size(), false);
    differentiated_.assign(network_.layers.size(), false);
    reads_left_.assign(network_.values.size(), 0);
    const auto keep = [&](ValueId id) { reads_left_[id] += 1; };  // a reader that never comes
    if (backward_follows) {
      for (const ValueId id : training_.slot_values) {
        wanted_[id] = true;
        keep(id);
      }
    }
    for (const ValueId id : network_.outputs) keep(id);
    for (size_t i = 0; i < network_.layers.size(); ++i) {
      const Layer& layer = network_.layers[i];
      for (const ValueId input : layer.inputs) {
        reads_left_[input] += 1;
        if (wanted_[input]) differentiated_[i] = true;
      }
      if (!differentiated_[i]) continue;
      wanted_[layer.output] = true;
      const TrainingRule<T>* rule = training_rule<T>(layer.op);
      const Kept kept = rule ? rule->kept(layer.op) : Kept{};
      if (kept.output) keep(layer.output);
      if (kept.inputs) {
        for (const ValueId input : layer.inputs) keep(input);
      }
    }
  }

  // Sets the logits' gradient: softmax minus one at the label.
  Result<double> cross_entropy() {
    const Array<T>& logits = values_[network_.outputs[0]];
    const int64_t classes = logits.shape[1];
    Array<T> gradient(logits.shape);
    loss_ = 0;
    for (int64_t n = 0; n < logits.shape[0]; ++n) {
      const T* row = &logits.data[n * classes];
      const double largest = *std::max_element(row, row + classes);
      double sum = 0;
      for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
      const int label = labels_[n];
      loss_ += std::log(sum) + largest - row[label];
      for (int64_t k = 0; k < classes; ++k) {
        const double p = std::exp(row[k] - largest) / sum;
        gradient.data[n * classes + k] = static_cast<T>(p - (k == label ? 1.0 : 0.0));
      }
    }
    if (wanted_[network_.outputs[0]]) gradients_[network_.outputs[0]] = std::move(gradient);
    return loss_;
  }

  Status backward(int i, const Array<T>& gradient) {
    const Layer& layer = network_.layers[i];
    LayerPass<T> pass = layer_pass(i);
    pass.gradient = &gradient;
    pass.gradients.resize(layer.inputs.size());
    for (const ValueId input : layer.inputs) pass.wanted.push_back(wanted_[input]);
    TRY_OK(run(training_rule<T>(layer.op), &TrainingRule<T>::backward, layer, pass));
    for (size_t k = 0; k < layer.inputs.size(); ++k) {
      if (!pass.wanted[k]) continue;
      Array<T>& sum = gradients_[layer.inputs[k]];
      if (sum.empty()) {
        sum = std::move(pass.gradients[k]);
      } else {
        for (size_t e = 0; e < sum.data.size(); ++e) sum.data[e] += pass.gradients[k].data[e];
      }
    }
    return ok();
  }

  // 1/(2N) sum_{n,c} (sum_yx A g)^2
  static double slot_score(const Array<T>& a, const Array<T>& g) {
    const Shape& s = a.shape;
    const int64_t c = s[1], pixels = s[2] * s[3];
    double total = 0;
    std::vector<double> sums(c);
    for (int64_t n = 0; n < s[0]; ++n) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t p = 0; p < pixels; ++p)
        for (int64_t i = 0; i < c; ++i) {
          const int64_t at = (n * pixels + p) * c + i;
          sums[i] += static_cast<double>(a.data[at]) * g.data[at];
        }
      for (const double sum : sums) total += sum * sum;
    }
    return total / (2.0 * static_cast<double>(s[0]));
  }

  const TrainingNetwork& training_;
  const Network& network_;
  const Array<T>& images_;
  const std::vector<int>& labels_;
  const WeightSource<T>& source_;
  ConvEngine<T>& engine_;
  std::vector<Array<T>> values_, gradients_;  // by ValueId
  std::vector<Weights<T>> weights_;           // by layer
  std::vector<std::vector<double>> saved_;    // by layer
  std::vector<bool> wanted_, differentiated_;
  std::vector<int> reads_left_;
  double loss_ = 0;
};

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
                                 ConvEngine<T>& engine) {
  TRY_OK(check(network, images.shape, labels));
  Pass<T> pass(network, images, labels, weights, engine);
  TRY_OK(pass.forward(true));
  return pass.backward();
}

template Result<FisherScore> fisher_score(const TrainingNetwork&, const Array<float>&,
                                          const std::vector<int>&, const WeightSource<float>&,
                                          ConvEngine<float>&);
template Result<FisherScore> fisher_score(const TrainingNetwork&, const Array<double>&,
                                          const std::vector<int>&, const WeightSource<double>&,
                                          ConvEngine<double>&);

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
  return Pass<T>(network, images, labels, weights, engine).forward(false, edit);
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
