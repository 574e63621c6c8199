#include "nest/rewrite.h"

#include <algorithm>
#include <set>

#include "nest/rewrite_table.h"
#include "nest/rewrites/propagate.h"

namespace emulsion {
namespace {

Conv without_weight(const Conv& conv) {
  Conv result = conv;
  result.weight = abstract_constant(conv.weight->shape);
  return result;
}

// The network after the steps that change the layers behind a conv, and the steps that are left for
// each conv.
struct Prepared {
  Network network;
  std::vector<int> convs;      // conv_layers(network)
  std::map<int, Steps> steps;  // by position among the convs
};

// A conv as errors name it, by its position and layer.
using Naming = std::string (*)(int conv, const Layer& layer);
std::string by_name(int, const Layer& layer) {
  return "conv " + layer.name;
}
std::string by_position(int conv, const Layer&) {
  return fmt::format("conv {}", conv);
}

Result<Prepared> prepared(const Network& network, const std::map<int, Steps>& rewrites,
                          Naming naming) {
  const std::vector<int> convs = conv_layers(network);
  Prepared result{network, convs, {}};
  for (const auto& [conv, steps] : rewrites) {
    if (conv < 0 || conv >= static_cast<int>(convs.size())) {
      return error("no conv {} to rewrite: {} has convs 0 to {}", conv, network.name,
                   static_cast<int>(convs.size()) - 1);
    }
    const int layer = convs[conv];
    Steps left = steps;
    if (!left.empty() && is_propagated(left[0])) {
      auto narrowed = propagate_bottleneck(result.network, layer, left[0]);
      if (!narrowed.ok()) {
        return narrowed.error().in(naming(conv, network.layers[layer]));
      }
      result.network = *std::move(narrowed);
      left.erase(left.begin());
    }
    if (!left.empty()) result.steps[conv] = std::move(left);
  }
  return result;
}

Result<Replacement> replacement_at(const Prepared& at, int position, bool with_weights,
                                   Naming naming) {
  const Layer& layer = at.network.layers[at.convs[position]];
  const Conv& conv = std::get<Conv>(layer.op);
  auto made = replacement(with_weights ? conv : without_weight(conv),
                          at.network.shape(layer.inputs[0]), at.steps.at(position));
  if (!made.ok()) return made.error().in(naming(position, layer));
  return made;
}

}  // namespace

std::vector<Steps> rewrites_of(const Conv& conv, const Shape& input) {
  const Nest nest = conv_nest(conv, input);
  const Conv bare = without_weight(conv);
  std::vector<Steps> result;
  std::set<std::string> seen;
  for (const RewriteRule& rule : rewrite_rules()) {
    for (const std::string& text : rule.instances(nest)) {
      const Result<Steps> steps = parse_steps(text);
      EMULSION_CHECK(steps.ok());
      const Result<RewriteCost> cost = rewrite_cost(bare, input, *steps);
      // A rewrite that does not save work has nothing to offer: a 1x1 conv's bottleneck may cost
      // more.
      if (cost.ok() && cost->multiplies < nest.multiplies() && seen.insert(text).second)
        result.push_back(*steps);
    }
  }
  return result;
}

Result<Network> apply_rewrites(const Network& network, const std::map<int, Steps>& rewrites,
                               std::vector<int>* came_from) {
  TRY(const Prepared at, prepared(network, rewrites, by_name));
  std::map<int, Network> replacements;
  for (const auto& [conv, steps] : at.steps) {
    TRY(Replacement made, replacement_at(at, conv, true, by_name));
    replacements[at.convs[conv]] = std::move(made.network);
  }
  return spliced(at.network, replacements, came_from);
}

Result<std::vector<ConvsLeft>> convs_after(const Network& network,
                                           const std::map<int, Steps>& rewrites) {
  TRY(const Prepared at, prepared(network, rewrites, by_position));
  std::vector<ConvsLeft> result(at.convs.size());
  for (const auto& [conv, steps] : at.steps) {
    TRY(const Replacement made, replacement_at(at, conv, false, by_position));
    const std::vector<int> convs = conv_layers(made.network);
    ConvsLeft& left = result[conv];
    left.count = static_cast<int>(convs.size());
    left.schedule = made.schedule;
    if (left.schedule.empty()) continue;
    for (int i = 0; i < left.count; ++i)
      if (std::count(made.mains.begin(), made.mains.end(), convs[i]) > 0)
        left.scheduled.push_back(i);
  }
  return result;
}

}  // namespace emulsion
