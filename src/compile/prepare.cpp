#include "compile/prepare.h"

#include <algorithm>

#include "lower/algorithm.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

// A conv of the rewritten network: what it came from.
struct Origin {
  int conv, part, parts;
  Steps rewrite;
};

Result<std::vector<Origin>> origins(const Network& simplified,
                                    const std::map<int, Steps>& changes) {
  TRY(const std::vector<int> counts, convs_after(simplified, changes));
  std::vector<Origin> result;
  for (int i = 0; i < static_cast<int>(counts.size()); ++i) {
    const auto change = changes.find(i);
    const int parts = counts[i];
    for (int part = 0; part < parts; ++part) {
      result.push_back({i, part, parts, change == changes.end() ? Steps{} : change->second});
    }
  }
  return result;
}

}  // namespace

Result<PreparedNetwork> prepare(const Network& network, const Plan& plan,
                                const std::string& target, int threads) {
  PreparedNetwork result;
  result.simplified = simplify(network);
  TRY_OK(check(plan, result.simplified));
  const std::map<int, Steps> changes = rewrites(plan);
  Network changed = result.simplified;
  if (!changes.empty()) {
    TRY(changed, apply_rewrites(result.simplified, changes));
    changed = simplify(changed);
  }
  const Plan kernels = rewritten_plan(plan, result.simplified, changed);
  std::map<int, KernelChoice> choices;
  for (const LayerChoice& layer : kernels.layers) {
    if (!layer.kernels.empty()) choices[layer.conv] = layer.kernels[0];
  }
  TRY(const std::vector<Origin> sources, origins(result.simplified, changes));

  result.laid_out = lay_out(changed);
  const Network& laid_out = result.laid_out.network;
  int conv = 0, dense = 0;
  for (int i = 0; i < static_cast<int>(laid_out.layers.size()); ++i) {
    if (result.laid_out.elided[i]) continue;
    KernelCall call;
    call.layer = i;
    KernelChoice choice;
    if (std::holds_alternative<Conv>(laid_out.layers[i].op)) {
      EMULSION_CHECK(conv < static_cast<int>(sources.size()));
      const Origin& origin = sources[conv];
      call.conv = origin.conv;
      call.part = origin.part;
      call.parts = origin.parts;
      call.rewrite = origin.rewrite;
      if (const auto chosen = choices.find(conv); chosen != choices.end()) choice = chosen->second;
      ++conv;
    }
    if (std::holds_alternative<Dense>(laid_out.layers[i].op)) {
      call.dense = dense++;
      if (std::binary_search(plan.dense_f16.begin(), plan.dense_f16.end(), call.dense))
        choice.weights = ElementType::f16;
    }
    // Plans survive a fine-tune, after which weights may be larger.
    if (!half_holds(laid_out.layers[i].op)) choice.weights = ElementType::f32;
    TRY(call.spec, kernel_spec(result.laid_out, i, choice, target, threads));
    result.calls.push_back(std::move(call));
  }
  return result;
}

Plan explicit_plan(const PreparedNetwork& prepared, const std::string& target, int threads) {
  Plan plan{structure_hash(prepared.simplified), target, threads, {}};
  const std::vector<int> convs = conv_layers(prepared.simplified);
  for (const KernelCall& call : prepared.calls) {
    if (call.dense >= 0 && call.spec.weights == ElementType::f16)
      plan.dense_f16.push_back(call.dense);
    if (call.conv < 0) continue;
    if (call.part == 0) {
      const int layer = convs[call.conv];
      plan.layers.push_back({call.conv,
                             prepared.simplified.layers[layer].name,
                             shape_hint(prepared.simplified, layer),
                             call.rewrite,
                             {}});
    }
    plan.layers.back().kernels.push_back(
        {call.spec.algorithm, call.spec.schedule, call.spec.weights});
  }
  return plan;
}

}  // namespace emulsion
