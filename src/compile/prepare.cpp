#include "compile/prepare.h"

#include <algorithm>

#include "lower/algorithm.h"
#include "lower/conv_chain.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

// Of each conv of the rewritten network.
Result<std::vector<ConvOrigin>> origins(const Network& simplified,
                                        const std::map<int, Steps>& changes) {
  TRY(const std::vector<ConvsLeft> left, convs_after(simplified, changes));
  std::vector<ConvOrigin> result;
  for (int i = 0; i < static_cast<int>(left.size()); ++i) {
    const auto change = changes.find(i);
    const int parts = left[i].count;
    for (int part = 0; part < parts; ++part) {
      result.push_back({i, part, parts, change == changes.end() ? Steps{} : change->second});
    }
  }
  return result;
}

// What a plan says about the convs of a kernel, as one choice.
KernelChoice choice_of(const std::vector<int>& convs, const std::map<int, KernelChoice>& choices) {
  const auto last = choices.find(convs.back());
  if (last == choices.end()) return {};
  KernelChoice choice = last->second;
  if (convs.size() == 1 || choice.schedule.empty()) return choice;
  std::vector<std::string> schedules;
  for (const int conv : convs) schedules.push_back(choices.at(conv).schedule);
  choice.schedule = join_schedules(schedules);
  return choice;
}

// The same the other way.
std::vector<KernelChoice> choices_of(const KernelCall& call) {
  if (call.convs.size() == 1) return {{call.spec.algorithm, call.spec.schedule, call.spec.weights}};
  std::vector<KernelChoice> choices;
  for (const std::string& schedule : split_schedules(call.spec.schedule))
    choices.push_back({k_fused_into_next, schedule, ElementType::f32});
  choices.back().algorithm = k_fused;
  return choices;
}

}  // namespace

Result<RewrittenNetwork> apply_plan(const Network& network, const Plan& plan) {
  RewrittenNetwork result;
  result.simplified = simplify(network);
  TRY_OK(check(plan, result.simplified));
  const std::map<int, Steps> changes = rewrites(plan);
  result.rewritten = result.simplified;
  if (!changes.empty()) {
    TRY(result.rewritten, apply_rewrites(result.simplified, changes));
    result.rewritten = simplify(result.rewritten);
  }
  const Plan kernels = rewritten_plan(plan, result.simplified, result.rewritten);
  for (const LayerChoice& layer : kernels.layers) {
    if (!layer.kernels.empty()) result.choices[layer.conv] = layer.kernels[0];
  }
  TRY(result.origins, origins(result.simplified, changes));
  result.dense_f16 = plan.dense_f16;
  result.streaming = plan.streaming;
  return result;
}

Result<PreparedNetwork> prepare(const RewrittenNetwork& network, const Chains& chains,
                                const std::string& target, int threads) {
  PreparedNetwork result;
  result.simplified = network.simplified;
  result.streaming = network.streaming;
  const ChainedNetwork chained = fuse_chains(network.rewritten, chains);
  result.laid_out = lay_out(chained.network);
  const Network& laid_out = result.laid_out.network;
  auto convs = chained.convs.begin();
  int dense = 0;
  for (int i = 0; i < static_cast<int>(laid_out.layers.size()); ++i) {
    if (result.laid_out.elided[i]) continue;
    KernelCall call;
    call.layer = i;
    KernelChoice choice;
    const Op& op = laid_out.layers[i].op;
    if (std::holds_alternative<Conv>(op) || std::holds_alternative<ConvChain>(op)) {
      EMULSION_CHECK(convs != chained.convs.end());
      for (const int conv : *convs) call.convs.push_back(network.origins.at(conv));
      choice = choice_of(*convs, network.choices);
      ++convs;
    }
    if (std::holds_alternative<Dense>(laid_out.layers[i].op)) {
      call.dense = dense++;
      if (std::binary_search(network.dense_f16.begin(), network.dense_f16.end(), call.dense))
        choice.weights = ElementType::f16;
    }
    // Plans survive a fine-tune, after which weights may be larger.
    if (!half_holds(laid_out.layers[i].op)) choice.weights = ElementType::f32;
    TRY(call.spec, kernel_spec(result.laid_out, i, choice, target, threads));
    result.calls.push_back(std::move(call));
  }
  return result;
}

Result<PreparedNetwork> prepare(const Network& network, const Plan& plan, const std::string& target,
                                int threads) {
  TRY(const RewrittenNetwork rewritten, apply_plan(network, plan));
  TRY(const Chains chains, choose_chains(rewritten.rewritten, rewritten.choices, target, threads));
  return prepare(rewritten, chains, target, threads);
}

std::vector<KernelSpec> specs_of(const PreparedNetwork& prepared) {
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) specs.push_back(call.spec);
  return specs;
}

KernelSpec with_op(KernelSpec spec, const Op& op) {
  spec.op = op;
  return spec;
}

void prefetch_next_weights(PreparedNetwork& prepared) {
  // Smaller ones are there soon enough.
  constexpr int64_t k_least_bytes = 512 << 10;
  if (prepared.streaming.prefetch_next_kb == 0) return;
  for (size_t i = 0; i + 1 < prepared.calls.size(); ++i) {
    KernelSpec& spec = prepared.calls[i].spec;
    const std::vector<PackedConstant> next = constant_shapes(prepared.calls[i + 1].spec);
    if (!next.empty() && byte_count(next[0]) >= k_least_bytes && !constant_shapes(spec).empty())
      spec.prefetch_next_kb = prepared.streaming.prefetch_next_kb;
  }
}

Plan explicit_plan(const PreparedNetwork& prepared, const std::string& target, int threads) {
  Plan plan{structure_hash(prepared.simplified), target, threads, {}};
  const std::vector<int> convs = conv_layers(prepared.simplified);
  std::map<int, LayerChoice> layers;
  for (const KernelCall& call : prepared.calls) {
    if (call.dense >= 0 && call.spec.weights == ElementType::f16)
      plan.dense_f16.push_back(call.dense);
    if (call.convs.empty()) continue;
    const std::vector<KernelChoice> choices = choices_of(call);
    for (size_t i = 0; i < choices.size(); ++i) {
      const ConvOrigin& origin = call.convs[i];
      const int layer = convs[origin.conv];
      LayerChoice& choice = layers[origin.conv];
      choice.conv = origin.conv;
      choice.name = prepared.simplified.layers[layer].name;
      choice.shape = shape_hint(prepared.simplified, layer);
      choice.rewrite = origin.rewrite;
      choice.kernels.resize(origin.parts);
      choice.kernels[origin.part] = choices[i];
    }
  }
  for (auto& [conv, choice] : layers) plan.layers.push_back(std::move(choice));
  plan.streaming = prepared.streaming;
  return plan;
}

}  // namespace emulsion
