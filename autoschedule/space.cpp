#include "autoschedule/space.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <regex>

#include "base/hash.h"
#include "base/random.h"
#include "nest/rewrite.h"

namespace emulsion {
namespace {

Result<std::optional<std::regex>> parse_regex(const std::string& text, const char* option) {
  if (text.empty()) return std::optional<std::regex>();
  try {
    return std::optional(std::regex(text));
  } catch (const std::regex_error& regex_error) {
    return error("{} '{}' is not a regular expression: {}", option, text, regex_error.what());
  }
}

bool too_many_groups(const Steps& steps) {
  return std::any_of(steps.begin(), steps.end(), [](const Step& step) {
    return step.word == "group" && step.factor > k_most_groups;
  });
}

std::vector<SlotChoice> choices_of(const Network& network, int layer,
                                   const std::optional<std::regex>& wanted) {
  const Conv& conv = std::get<Conv>(network.layers[layer].op);
  const Shape& input = network.shape(network.layers[layer].inputs[0]);
  const Nest nest = conv_nest(conv, input);
  std::vector<SlotChoice> choices = {{{}, nest.multiplies()}};
  for (Steps& steps : rewrites_of(conv, input)) {
    if (too_many_groups(steps)) continue;
    if (wanted && !std::regex_search(to_text(steps), *wanted)) continue;
    const auto cost = rewrite_cost(conv, input, steps);
    EMULSION_CHECK(cost.ok());
    choices.push_back({std::move(steps), cost->multiplies});
  }
  std::stable_sort(choices.begin() + 1, choices.end(),
                   [](const auto& a, const auto& b) { return a.multiplies > b.multiplies; });
  return choices;
}

}  // namespace

Result<SearchSpace> search_space(const Network& network, const std::string& slots_regex,
                                 const std::string& freeze_regex,
                                 const std::string& rewrites_regex) {
  TRY(const auto wanted, parse_regex(slots_regex, "--slots"));
  TRY(const auto frozen, parse_regex(freeze_regex, "--freeze"));
  TRY(const auto steps, parse_regex(rewrites_regex, "--rewrites"));
  const std::vector<int> convs = conv_layers(network);
  const std::vector<int> usual = slots(network);
  SearchSpace space;
  space.multiplies = multiplies(network);
  for (int position = 0; position < static_cast<int>(convs.size()); ++position) {
    const Layer& layer = network.layers[convs[position]];
    const std::string& name = layer.name;
    const bool is_slot = wanted ? std::regex_search(name, *wanted)
                                : std::binary_search(usual.begin(), usual.end(), position);
    if (!is_slot || (frozen && std::regex_search(name, *frozen))) continue;
    std::vector<SlotChoice> choices = choices_of(network, convs[position], steps);
    if (choices.size() > 1)
      space.slots.push_back({position, name, std::move(choices),
                             std::get<Conv>(layer.op).weight->shape, network.shape(layer.output)});
  }
  return space;
}

Configuration random_configuration(const SearchSpace& space, uint64_t seed, int index) {
  const RandomStream random(seed, "configuration", static_cast<uint64_t>(index));
  const double keep = random.uniform(0);
  const double leaning = std::exp2(random.uniform(1, -1.0, 1.0));
  Configuration configuration;
  uint64_t draw = 2;
  for (const SpaceSlot& slot : space.slots) {
    const bool kept = random.uniform(draw++) < keep;
    const double u = std::pow(random.uniform(draw++), leaning);
    const double rewrites = static_cast<double>(slot.choices.size() - 1);
    configuration.push_back(kept ? 0 : 1 + static_cast<int>(u * rewrites));
  }
  return configuration;
}

Network without_weights(Network network) {
  for (Layer& layer : network.layers) {
    if (auto* conv = std::get_if<Conv>(&layer.op)) {
      conv->weight = abstract_constant(conv->weight->shape);
    }
  }
  return network;
}

std::map<int, Steps> rewrites(const SearchSpace& space, const Configuration& configuration) {
  std::map<int, Steps> result;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const SpaceSlot& slot = space.slots[i];
    if (configuration[i] > 0) result[slot.conv] = slot.choices[configuration[i]].rewrite;
  }
  return result;
}

int64_t multiplies(const SearchSpace& space, const Configuration& configuration) {
  int64_t result = space.multiplies;
  for (size_t i = 0; i < space.slots.size(); ++i) {
    const auto& choices = space.slots[i].choices;
    result += choices[configuration[i]].multiplies - choices[0].multiplies;
  }
  return result;
}

std::string configuration_key(const SearchSpace& space, const Configuration& configuration) {
  std::string text;
  for (const auto& [conv, steps] : rewrites(space, configuration)) {
    text += fmt::format("{}: {}\n", conv, to_text(steps));
  }
  return hash_text(text);
}

}  // namespace emulsion
