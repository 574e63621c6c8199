#include "explore/trained.h"

#include "base/progress.h"
#include "explore/losses.h"
#include "legality/initial_weights.h"

namespace emulsion {

Result<ZeroShotJudge> zero_shot_judge(const Problem& problem, ConvEngine<float>& engine,
                                      int workers) {
  Progress bar("compiling kernels for the whole network's loss");
  ZeroShotOptions options;
  options.workers = workers;
  options.compiling = [&](int done, int all) { bar.update(done, fmt::format("of {}", all)); };
  return ZeroShotJudge::create(problem.simplified, inherit_minibatch(problem), engine, options);
}

Result<Trained> is_trained(const Problem& problem, ConvEngine<float>& engine, int workers,
                           std::optional<ZeroShotJudge>& zero_shot) {
  const ExploreOptions& options = problem.options;
  if (options.trained) {
    return Trained{*options.trained,
                   *options.trained ? "Taken as trained." : "Taken as untrained."};
  }
  const bool labels_given = !options.labels.empty();
  if (!labels_given) {
    const bool yes = !looks_untrained(problem.network);
    return Trained{yes, fmt::format("Without --labels its weights alone tell whether the network "
                                    "is trained: it looks {} (--{} overrides that).",
                                    yes ? "so" : "untrained", yes ? "untrained" : "trained")};
  }
  TRY(ZeroShotJudge made, zero_shot_judge(problem, engine, workers));
  zero_shot.emplace(std::move(made));
  const Minibatch& minibatch = problem.minibatch.minibatch;
  const int64_t classes = problem.network.shape(problem.network.outputs[0])[1];
  const TrainingSigns signs = training_signs(zero_shot->original(), minibatch.labels, classes);
  return Trained{signs.trained, signs.sentence};
}

}  // namespace emulsion
