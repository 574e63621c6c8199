// What a trained network loses when one conv is rewritten and inherits its weights: the
// Fisher-weighted reconstruction error
//   inherit(l, rewrite) = 1/(2N) sum_n sum_chw ( g (n' - n) )^2 / E
// n: the output of the batch norm behind conv l in evaluation mode (of the conv itself when an
// exporter has folded the norm away); g: the gradient of the summed cross-entropy by n; n': the
// same place with conv l alone rewritten, under the batch's statistics and the norm's scale and
// shift (folded: those that give n's own mean and variance). E, the identity energy, is the sum
// over all slots of the error of a constant n. A network's score is the sum over its rewritten
// slots: it ranks rewritten networks by the accuracy that a short fine-tune reaches, and promises
// nothing about its amount.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "legality/fisher.h"
#include "nest/step.h"

namespace emulsion {

struct InheritOptions {
  uint64_t seed = 0;  // of labels drawn from the model's own output, where there are none
  int workers = 1;    // threads; the table does not depend on them
  size_t memory_bytes = size_t{1} << 30;  // about what the tensors and inherited weights may take
  std::function<void(int done, int all)> compiling, computing;  // progress
};

// A score with what it would be without each block of the images in turn (a jackknife).
struct InheritScore {
  double value = 0;
  std::vector<double> without_block;

  double standard_error() const;
  InheritScore& operator+=(const InheritScore& other);
};

struct InheritTable {
  // By slot (position in conv_layers()): a score for each rewrite in the order given.
  std::map<int, std::vector<InheritScore>> scores;
  double energy = 0;     // E
  double mean_loss = 0;  // the original's, on these images and labels
  double accuracy = 0;   // share of images whose label is the original's first answer
  int images = 0;        // used: whole blocks
  bool labels_drawn = false;

  // Of a network: choice[slot] is an index into the slot's rewrites; slots left out are kept.
  InheritScore total(const std::map<int, int>& choice) const;
};

// The network has its weights, as imported or simplified. rewrites: every slot with its rewrites; a
// slot without any counts for E all the same, and an empty list of steps scores zero. Labels may be
// empty: then each image's is drawn from the model's own output.
Result<InheritTable> inherit_table(const Network& network,
                                   const std::map<int, std::vector<Steps>>& rewrites,
                                   const Minibatch& minibatch, ConvEngine<float>& engine,
                                   const InheritOptions& options = {});

}  // namespace emulsion
