// The loss of a whole rewritten network before any training: convs inherit their weights, batch
// norms take the statistics of the images. It confirms what the inherit table, a sum over slots,
// has chosen; and on the original it tells a trained network from one at initialisation.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "legality/fisher.h"
#include "nest/step.h"

namespace emulsion {

struct ZeroShotOptions {
  int workers = 1;  // threads; results do not depend on them
  size_t memory_bytes =
      size_t{1} << 30;  // about what the tensors may take; fewer images if need be
  std::function<void(int done, int all)> compiling;  // progress of create(), not called later
};

struct ZeroShot {
  double loss = 0;            // mean cross-entropy; without labels, against the original's output
  double standard_error = 0;  // of loss, over the images
  double accuracy = 0;        // share of right first answers; without labels, of the original's
  int images = 0;
};

class ZeroShotJudge {
 public:
  // The network has its weights, as imported or simplified; labels may be empty. Runs the original.
  static Result<ZeroShotJudge> create(const Network& network, const Minibatch& minibatch,
                                      ConvEngine<float>& engine, const ZeroShotOptions& options);
  ZeroShotJudge(ZeroShotJudge&&) noexcept;
  ~ZeroShotJudge();

  // Under its own statistics. Without labels the loss is the entropy of its answers.
  const ZeroShot& original() const;

  // Every batch norm behind a rewritten conv takes the mean and the biased variance of all images
  // there. A rewritten conv without one directly behind it is given the mean and variance that the
  // original's output has, by channel, as `transform --data` does.
  Result<ZeroShot> judge(const std::map<int, Steps>& rewrites);

 private:
  class State;
  explicit ZeroShotJudge(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Whether a network has been trained on the task that labelled images show.
struct TrainingSigns {
  bool trained = false;
  std::string sentence;  // the figures and the conclusion
};

// original: of the network on these labels, which are not its own answers. Trained when by three
// standard errors its loss is below that of equal odds for all classes, or its accuracy above that
// of always answering the most frequent label.
TrainingSigns training_signs(const ZeroShot& original, const std::vector<int>& labels,
                             int64_t classes);

}  // namespace emulsion
