#include "explore/problem.h"

#include <algorithm>

#include "base/hash.h"
#include "lower/lower.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
Result<Problem> load_problem(const Network& network, const ExploreOptions& options) {
  Problem problem;
  problem.options = options;
  // Convs are numbered as a plan numbers them.
  problem.network = reform(network);
  TRY(problem.target, resolve_target(options.target));
  problem.simplified = simplify(problem.network);
  problem.bare = without_weights(problem.simplified);
  problem.structure = structure_hash(problem.simplified);
  TRY(problem.space,
      search_space(problem.simplified, options.slots, options.freeze, options.rewrites));
  if (problem.space.slots.empty()) {
    return Error{
        fmt::format("{}: no conv can be rewritten{} (`emulsion inspect` says why)", options.model,
                    options.slots.empty() && options.freeze.empty() && options.rewrites.empty()
                        ? ""
                        : " of those that --slots, --freeze and --rewrites leave"),
        ExitCode::answer_is_no};
  }
  TRY(problem.minibatch,
      load_minibatch(problem.network, {options.data, options.labels,
                                       std::max(options.images, options.minibatch), options.seed}));
  return problem;
}

nlohmann::ordered_json identity(const Problem& problem, Legality legality) {
  const Minibatch& m = problem.minibatch.minibatch;
  const std::string images(reinterpret_cast<const char*>(m.images.data.data()),
                           m.images.data.size() * sizeof(float));
  std::string slots, choices;
  for (const SpaceSlot& slot : problem.space.slots) {
    slots += fmt::format("{} ", slot.conv);
    for (const SlotChoice& choice : slot.choices) choices += to_text(choice.rewrite) + "\n";
  }
  return {{"network", problem.structure},
          {"seed", problem.options.seed},
          {"legality", legality_name(legality)},
          {"slots", slots},
          {"choices", hash_text(choices)},
          {"target", problem.target},
          {"minibatch", problem.options.minibatch},
          {"images", hash_text(images)},
          {"labels", m.labels}};
}

Minibatch fisher_minibatch(const Problem& problem) {
  const Minibatch& all = problem.minibatch.minibatch;
  const int64_t have = all.images.shape[0];
  const int64_t count = std::min<int64_t>(have, problem.options.minibatch);
  Minibatch first;
  Shape shape = all.images.shape;
  shape[0] = count;
  const auto begin = all.images.data.begin();
  first.images = Tensor(shape, std::vector<float>(begin, begin + element_count(shape)));
  first.labels.assign(all.labels.begin(), all.labels.begin() + count);
  return first;
}

Plan rewriting_plan(const Problem& problem, const Configuration& configuration) {
  Plan plan{problem.structure, problem.target, problem.options.threads, {}};
  const std::vector<int> convs = conv_layers(problem.simplified);
  for (const auto& [conv, steps] : rewrites(problem.space, configuration)) {
    const int layer = convs[conv];
    plan.layers.push_back({conv,
                           problem.simplified.layers[layer].name,
                           shape_hint(problem.simplified, layer),
                           steps,
                           {}});
  }
  return plan;
}

int64_t parameters(const Problem& problem, const Configuration& configuration) {
  const auto changed = apply_rewrites(problem.bare, rewrites(problem.space, configuration));
  EMULSION_CHECK(changed.ok());
  return parameters(*changed);
}

}  // namespace emulsion
