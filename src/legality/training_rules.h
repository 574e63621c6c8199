// The ops of a training pass: for each op what it computes in training mode, and the gradients of
// its inputs from the gradient of its output. One table, one row an op.
#pragma once

#include <vector>

#include "legality/array.h"
#include "legality/conv_engine.h"
#include "network/op.h"

namespace emulsion {

// What backward reads of a layer beside the output's gradient; the rest is freed after forward.
struct Kept {
  bool inputs = false, output = false;
};

// One layer while a pass is at it.
template <class T>
struct LayerPass {
  const Op& op;
  ConvEngine<T>& engine;
  const LayerWeights<T>& weights;       // convs and dense layers; empty for others
  std::vector<const Array<T>*> inputs;  // data only where kept; shapes always
  std::vector<Array<T>*> spare;         // forward: an input that nothing else reads, or null
  Array<T>* output = nullptr;           // forward writes it
  const Array<T>* made = nullptr;       // backward: the output, where kept
  std::vector<double>* saved =
      nullptr;                      // from forward to backward: statistics, positions of maxima
  Array<T>* gradient = nullptr;     // backward: of the output; it may be taken
  std::vector<bool> wanted;         // backward: inputs whose gradients are asked for
  std::vector<Array<T>> gradients;  // backward writes those
};

template <class T>
struct TrainingRule {
  const char* op;
  Kept (*kept)(const Op& op);
  Status (*forward)(LayerPass<T>& pass);
  Status (*backward)(LayerPass<T>& pass);  // may leave an unwanted gradient empty
};

// The rule for an op, or null: no training pass goes through it.
template <class T>
const TrainingRule<T>* training_rule(const Op& op);

}  // namespace emulsion
