// The images and labels that legality is judged on: from files, or made up, with a sentence on what
// that costs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "legality/fisher.h"
#include "network/network.h"

namespace emulsion {

struct MinibatchOptions {
  std::string data, labels;  // .npy files; empty: none
  int size = 16;             // the first so many of the file
  uint64_t seed = 0;
};

struct LoadedMinibatch {
  Minibatch minibatch;
  std::string images_from,
      labels_from;              // "x.npy" or "seeded noise"; "y.npy", "the model's answers", ...
  bool answers_wanted = false;  // labels are to be the model's own answers
  std::vector<std::string> notes;
};

// Images [N C H W] of the network's input size, finite; labels [N], integers in [0, classes).
// Without labels, those of an untrained network are drawn uniformly, and those of a trained one are
// left to answer().
Result<LoadedMinibatch> load_minibatch(const Network& network, const MinibatchOptions& options);

// Sets the labels to a network's own answers; run: its output for one input of its own batch.
Status answer(LoadedMinibatch& loaded, const Network& network,
              const std::function<Result<std::vector<Tensor>>(const std::vector<Tensor>&)>& run);

}  // namespace emulsion
