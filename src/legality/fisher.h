// Fisher Potential (Turner, Crowley, O'Boyle 2021): what a network's slots can still learn at
// initialisation, from one minibatch, without training.
//   score = sum over slots and channels c of 1/(2N) sum_n ( sum_yx A[n,c,y,x] g[n,c,y,x] )^2
// with A a slot's output before its batch norm and g the gradient of the summed cross-entropy by A.
// Batch norm in training mode, scale 1 and shift 0; backward by data only, and only as far as the
// first slot.
#pragma once

#include <functional>
#include <limits>
#include <vector>

#include "legality/pass.h"
#include "legality/training_network.h"

namespace emulsion {

struct Minibatch {
  Tensor images;            // [N C H W]
  std::vector<int> labels;  // N, in [0, classes)
};

struct FisherScore {
  double total = 0;
  std::vector<double> slots;  // in the network's order of slots
  double mean_loss = 0;       // cross-entropy
  bool complete = true;       // false: it stopped at `enough`, slots before that are missing
};

// A forward pass of another network, all its slots observed, that agrees with the scored one in the
// first so many layers and their weights.
template <class T>
struct ScoredPrefix {
  const TrainingPass<T>* pass = nullptr;
  int layers = 0;
};

// T: the type of every tensor, float or double; sums of statistics and scores are always double.
// Stops as soon as the sum is past `enough`: no term is negative.
template <class T>
Result<FisherScore> fisher_score(const TrainingNetwork& network, const Array<T>& images,
                                 const std::vector<int>& labels, const WeightSource<T>& weights,
                                 ConvEngine<T>& engine,
                                 double enough = std::numeric_limits<double>::infinity(),
                                 const ScoredPrefix<T>& prefix = {});

// In float32 with this seed's initial weights.
Result<FisherScore> fisher_score(const TrainingNetwork& network, const Minibatch& minibatch,
                                 uint64_t seed, ConvEngine<float>& engine);

// The summed cross-entropy of the forward pass alone; edit may change each value as it is made.
template <class T>
Result<double> training_loss(const TrainingNetwork& network, const Array<T>& images,
                             const std::vector<int>& labels, const WeightSource<T>& weights,
                             ConvEngine<T>& engine,
                             const std::function<void(ValueId, Array<T>&)>& edit);

}  // namespace emulsion
