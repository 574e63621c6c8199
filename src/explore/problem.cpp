#include "explore/problem.h"

#include "lower/lower.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

constexpr int k_fisher_images = 16;

}  // namespace

Result<Problem> load_problem(Network network, const ExploreOptions& options) {
  Problem problem;
  problem.options = options;
  problem.network = std::move(network);
  TRY(problem.target, resolve_target(options.target));
  problem.simplified = simplify(problem.network);
  problem.bare = without_weights(problem.simplified);
  problem.structure = structure_hash(problem.simplified);
  TRY(problem.space, search_space(problem.simplified, options.slots, options.freeze));
  if (problem.space.slots.empty()) {
    return Error{fmt::format("{}: no conv can be rewritten{} (`emulsion inspect` says why)",
                             options.model,
                             options.slots.empty() && options.freeze.empty()
                                 ? ""
                                 : " of those that --slots and --freeze leave"),
                 ExitCode::answer_is_no};
  }
  TRY(problem.minibatch,
      load_minibatch(problem.network,
                     {options.data, options.labels,
                      options.minibatch > 0 ? options.minibatch : k_fisher_images, options.seed}));
  return problem;
}

Plan rewriting_plan(const Problem& problem, const Configuration& configuration) {
  Plan plan{problem.structure, problem.target, problem.options.threads, {}};
  const std::vector<int> convs = conv_layers(problem.simplified);
  for (const auto& [conv, steps] : rewrites(problem.space, configuration)) {
    const int layer = convs[conv];
    plan.layers.push_back({conv, problem.simplified.layers[layer].name,
                           shape_hint(problem.simplified, layer), steps, {}});
  }
  return plan;
}

int64_t parameters(const Problem& problem, const Configuration& configuration) {
  const auto changed = apply_rewrites(problem.bare, rewrites(problem.space, configuration));
  EMULSION_CHECK(changed.ok());
  return parameters(*changed);
}

}  // namespace emulsion
