// One forward and backward pass of a network on one batch, by the table of training rules: values
// that are asked for are kept, the others are freed as soon as nothing needs them any more.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "legality/conv_engine.h"
#include "legality/training_rules.h"
#include "network/network.h"

namespace emulsion {

// The weights of a layer (a conv or dense), in the order of its weight's shape.
template <class T>
using WeightSource = std::function<LayerWeights<T>(int layer)>;

// T: the type of every tensor, float or double.
template <class T>
class TrainingPass {
 public:
  // The network has one input. Both outlive the pass.
  TrainingPass(const Network& network, WeightSource<T> weights, ConvEngine<T>& engine);

  // Before forward: its gradient is wanted, and the value with it.
  void observe(ValueId value) { observed_[value] = true; }
  // Before forward: the value stays at hand until backward has gone past it.
  void keep(ValueId value) { kept_[value] = true; }

  // Before forward: takes what another pass has found for the first `layers` layers, in which the
  // two networks and their weights agree, instead of finding it again; fewer where that pass no
  // longer has a value. It has gone forward only, with the same observed values, and outlives this.
  void start_from(const TrainingPass& other, int layers);

  // edit may change each value as it is made.
  Status forward(const Array<T>& images,
                 const std::function<void(ValueId, Array<T>&)>& edit = nullptr);

  // The summed cross-entropy of the output [N, classes]; its gradient is where backward starts.
  double cross_entropy(const std::vector<int>& labels);

  // Calls seen(value) for each observed value, the last one first, as its gradient is complete;
  // stops as soon as seen returns false.
  Status backward(const std::function<Result<bool>(ValueId)>& seen);

  const Array<T>& value(ValueId id) const {
    if (id == network_.inputs[0]) return *images_;
    return taken_[id] ? prefix_->values_[id] : values_[id];
  }
  const Array<T>& gradient(ValueId id) const { return gradients_[id]; }
  const Array<T>& output() const { return value(network_.outputs[0]); }
  Array<T> take_output() { return std::move(values_[network_.outputs[0]]); }

 private:
  LayerPass<T> layer_pass(int layer);
  Status run(Status (*TrainingRule<T>::*function)(LayerPass<T>&), int layer, LayerPass<T>& pass);
  Status step_back(int layer);
  void find_needs();

  const Network& network_;
  const WeightSource<T> source_;
  ConvEngine<T>& engine_;
  const Array<T>* images_ = nullptr;
  const TrainingPass* prefix_ = nullptr;      // whose values are taken
  int first_layer_ = 0;                       // the first that is not taken from there
  std::vector<Array<T>> values_, gradients_;  // by ValueId
  std::vector<LayerWeights<T>> weights_;      // by layer
  std::vector<std::vector<double>> saved_;    // by layer
  std::vector<bool> observed_, kept_;         // by ValueId
  std::vector<bool> taken_;                   // by ValueId: from the prefix
  std::vector<bool> wanted_;          // by ValueId: has a gradient worth having (observed values,
                                      // and what depends on them)
  std::vector<bool> differentiated_;  // by layer: backward goes through it
  std::vector<int> reads_left_;       // by ValueId: readers before it can be freed
};

}  // namespace emulsion
