#include "legality/pass.h"

#include <algorithm>
#include <cmath>

#include "legality/channel_loops.h"

namespace emulsion {
namespace {

bool has_weights(const Op& op) {
  return std::holds_alternative<Conv>(op) || std::holds_alternative<Dense>(op);
}

}  // namespace

template <class T>
TrainingPass<T>::TrainingPass(const Network& network, WeightSource<T> weights,
                              ConvEngine<T>& engine)
    : network_(network),
      source_(std::move(weights)),
      engine_(engine),
      values_(network.values.size()),
      gradients_(network.values.size()),
      weights_(network.layers.size()),
      saved_(network.layers.size()),
      observed_(network.values.size(), false),
      kept_(network.values.size(), false),
      taken_(network.values.size(), false) {}

template <class T>
void TrainingPass<T>::start_from(const TrainingPass& other, int layers) {
  const std::vector<int> makers = producers(network_);
  const auto has_what_is_read = [&](int count) {
    for (size_t i = count; i < network_.layers.size(); ++i) {
      for (const ValueId id : network_.layers[i].inputs) {
        if (makers[id] >= 0 && makers[id] < count && other.value(id).empty()) return false;
      }
    }
    return true;
  };
  while (layers > 0 && !has_what_is_read(layers)) --layers;
  prefix_ = &other;
  first_layer_ = layers;
  for (int i = 0; i < layers; ++i) {
    EMULSION_CHECK(network_.layers[i].output == other.network_.layers[i].output);
    taken_[network_.layers[i].output] = true;
    saved_[i] = other.saved_[i];
  }
}

template <class T>
Status TrainingPass<T>::forward(const Array<T>& images,
                                const std::function<void(ValueId, Array<T>&)>& edit) {
  find_needs();
  images_ = &images;
  for (int i = 0; i < static_cast<int>(network_.layers.size()); ++i) {
    const Layer& layer = network_.layers[i];
    if (has_weights(layer.op) && (differentiated_[i] || i >= first_layer_)) {
      weights_[i] = source_(i);
    }
    if (i < first_layer_) {
      for (const ValueId input : layer.inputs) --reads_left_[input];
      continue;
    }
    LayerPass<T> pass = layer_pass(i);
    for (const ValueId input : layer.inputs) {
      const bool last = reads_left_[input] == 1 && input != network_.inputs[0] && !taken_[input];
      pass.spare.push_back(last ? &values_[input] : nullptr);
    }
    TRY_OK(run(&TrainingRule<T>::forward, i, pass));
    if (edit) edit(layer.output, values_[layer.output]);
    if (!differentiated_[i]) weights_[i] = {};
    for (const ValueId input : layer.inputs) {
      if (--reads_left_[input] == 0) values_[input].data = {};  // the shape stays
    }
  }
  return ok();
}

template <class T>
double TrainingPass<T>::cross_entropy(const std::vector<int>& labels) {
  const Array<T>& logits = output();
  const int64_t classes = logits.shape[1];
  Array<T> gradient(logits.shape);
  double loss = 0;
  for (int64_t n = 0; n < logits.shape[0]; ++n) {
    const T* row = &logits.data[n * classes];
    const double largest = *std::max_element(row, row + classes);
    double sum = 0;
    for (int64_t k = 0; k < classes; ++k) sum += std::exp(row[k] - largest);
    const int label = labels[n];
    loss += std::log(sum) + largest - row[label];
    for (int64_t k = 0; k < classes; ++k) {
      const double p = std::exp(row[k] - largest) / sum;
      gradient.data[n * classes + k] = static_cast<T>(p - (k == label ? 1.0 : 0.0));
    }
  }
  const ValueId id = network_.outputs[0];
  if (wanted_[id]) gradients_[id] = std::move(gradient);
  return loss;
}

template <class T>
Status TrainingPass<T>::backward(const std::function<Result<bool>(ValueId)>& seen) {
  for (int i = static_cast<int>(network_.layers.size()) - 1; i >= 0; --i) {
    const ValueId output = network_.layers[i].output;
    if (gradients_[output].empty()) continue;
    if (observed_[output]) {
      TRY(const bool go_on, seen(output));
      if (!go_on) return ok();
    }
    if (differentiated_[i]) TRY_OK(step_back(i));
    gradients_[output].data = {};
    values_[output].data = {};
    weights_[i] = {};
    saved_[i] = {};
  }
  return ok();
}

template <class T>
LayerPass<T> TrainingPass<T>::layer_pass(int layer) {
  const Layer& l = network_.layers[layer];
  LayerPass<T> pass{l.op, engine_, weights_[layer]};
  for (const ValueId input : l.inputs) pass.inputs.push_back(&value(input));
  pass.output = &values_[l.output];
  pass.made = &value(l.output);
  pass.saved = &saved_[layer];
  return pass;
}

template <class T>
Status TrainingPass<T>::run(Status (*TrainingRule<T>::*function)(LayerPass<T>&), int layer,
                            LayerPass<T>& pass) {
  const Layer& l = network_.layers[layer];
  const TrainingRule<T>* rule = training_rule<T>(l.op);
  if (!rule) return error("layer '{}': scoring cannot go through a {}", l.name, op_name(l.op));
  Status status = (rule->*function)(pass);
  if (!status.ok()) return status.error().in(fmt::format("layer '{}'", l.name));
  return ok();
}

template <class T>
Status TrainingPass<T>::step_back(int i) {
  const Layer& layer = network_.layers[i];
  LayerPass<T> pass = layer_pass(i);
  pass.gradient = &gradients_[layer.output];
  pass.gradients.resize(layer.inputs.size());
  for (const ValueId input : layer.inputs) pass.wanted.push_back(wanted_[input]);
  TRY_OK(run(&TrainingRule<T>::backward, i, pass));
  for (size_t k = 0; k < layer.inputs.size(); ++k) {
    if (!pass.wanted[k]) continue;
    Array<T>& sum = gradients_[layer.inputs[k]];
    if (sum.empty()) {
      sum = std::move(pass.gradients[k]);
    } else {
      add_to(sum.data.data(), pass.gradients[k].data.data(), element_count(sum.shape));
    }
  }
  return ok();
}

template <class T>
void TrainingPass<T>::find_needs() {
  wanted_ = observed_;
  differentiated_.assign(network_.layers.size(), false);
  reads_left_.assign(network_.values.size(), 0);
  const auto keep = [&](ValueId id) { reads_left_[id] += 1; };  // a reader that never comes
  for (ValueId id = 0; id < static_cast<ValueId>(network_.values.size()); ++id) {
    if (observed_[id] || kept_[id]) keep(id);
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

template class TrainingPass<float>;
template class TrainingPass<double>;

}  // namespace emulsion
