#include "cli/inspect_space.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "nest/rewrite.h"
#include "nest/rewrite_table.h"
#include "plan/plan.h"

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

// One list of steps tried on the conv.
struct Trial {
  std::string rewrite, steps;
  std::string refused;  // why; empty when it applies and saves multiplies
  int64_t multiplies = 0, weights = 0;
  int convs = 1;
};

Result<int> find_conv(const Network& network, const std::string& layer) {
  const std::vector<int> convs = conv_layers(network);
  for (int i = 0; i < static_cast<int>(convs.size()); ++i) {
    if (network.layers[convs[i]].name == layer || std::to_string(i) == layer) return i;
  }
  return error("--space '{}': {} has no conv of this name, and its convs are numbered 0 to {}",
               layer, network.name, static_cast<int>(convs.size()) - 1);
}

int64_t conv_weights(const Network& network) {
  int64_t sum = 0;
  for (const int layer : conv_layers(network)) {
    sum += element_count(std::get<Conv>(network.layers[layer].op).weight->shape);
  }
  return sum;
}

// What the network has after the rewrite where the conv was: a propagated one saves in the convs
// after it as well, so that less than nothing may be left.
Result<Trial> tried(const Network& network, int conv, const std::string& text) {
  TRY(const Steps steps, parse_steps(text));
  const std::map<int, Steps> rewrites{{conv, steps}};
  TRY(const std::vector<ConvsLeft> convs, convs_after(network, rewrites));
  TRY(const Network after, apply_rewrites(network, rewrites));
  const Layer& layer = network.layers[conv_layers(network)[conv]];
  Trial trial;
  trial.multiplies =
      multiplies(layer.op, network.shape(layer.output)) + multiplies(after) - multiplies(network);
  trial.weights = element_count(std::get<Conv>(layer.op).weight->shape) + conv_weights(after) -
                  conv_weights(network);
  trial.convs = convs[conv].count;
  return trial;
}

Network without_conv_weights(Network network) {
  for (Layer& layer : network.layers) {
    if (auto* conv = std::get_if<Conv>(&layer.op))
      conv->weight = abstract_constant(conv->weight->shape);
  }
  return network;
}

std::vector<Trial> trials(const Network& network, int conv) {
  const Network bare = without_conv_weights(network);
  const Layer& layer = bare.layers[conv_layers(bare)[conv]];
  const Nest nest = conv_nest(std::get<Conv>(layer.op), bare.shape(layer.inputs[0]));
  std::vector<Trial> result;
  for (const RewriteRule& rule : rewrite_rules()) {
    for (const std::string& text : rule.instances(nest)) {
      auto trial = tried(bare, conv, text);
      Trial row = trial.ok() ? *trial : Trial{};
      row.rewrite = rule.name;
      row.steps = text;
      if (!trial.ok()) {
        // The reason begins with the conv, which the reader has named.
        const std::string& message = trial.error().message;
        const size_t step = message.find("step '");
        row.refused = step == std::string::npos ? message : message.substr(step);
      } else if (row.multiplies >= nest.multiplies()) {
        row.refused = fmt::format("it saves nothing: {} multiplies for {}", row.multiplies,
                                  nest.multiplies());
      }
      result.push_back(std::move(row));
    }
  }
  return result;
}

double saved(int64_t now, int64_t before) {
  return 1 - static_cast<double>(now) / static_cast<double>(before);
}

struct Original {
  std::string name, shape, excluded;
  int64_t multiplies = 0, weights = 0;
};

void print_json(const Original& original, int conv, const std::vector<Trial>& rows) {
  Json json;
  json["format"] = "emulsion-space-1";
  json["layer"] = original.name;
  json["conv"] = conv;
  json["shape"] = original.shape;
  if (!original.excluded.empty()) json["excluded"] = original.excluded;
  json["multiplies"] = original.multiplies;
  json["weights"] = original.weights;
  json["rewrites"] = Json::array();
  json["refused"] = Json::array();
  for (const Trial& row : rows) {
    if (row.refused.empty()) {
      json["rewrites"].push_back({{"name", row.rewrite},
                                  {"steps", row.steps},
                                  {"convs", row.convs},
                                  {"multiplies", row.multiplies},
                                  {"weights", row.weights}});
    } else {
      json["refused"].push_back(
          {{"name", row.rewrite}, {"steps", row.steps}, {"reason", row.refused}});
    }
  }
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_table(const Original& original, int conv, const std::vector<Trial>& rows) {
  fmt::print("{} (conv {}): {}, {} multiplies, {} weights\n", original.name, conv, original.shape,
             original.multiplies, original.weights);
  if (!original.excluded.empty()) {
    fmt::print("explore leaves it as it is: {}; a plan may rewrite it all the same\n",
               original.excluded);
  }
  size_t width = 5;
  for (const Trial& row : rows) width = std::max(width, row.steps.size());
  fmt::print("\n{:<22} {:<{}} {:>5} {:>12} {:>7} {:>10} {:>7}\n", "rewrite", "steps", width,
             "convs", "multiplies", "saved", "weights", "saved");
  for (const Trial& row : rows) {
    if (!row.refused.empty()) continue;
    fmt::print("{:<22} {:<{}} {:>5} {:>12} {:>6.1f}% {:>10} {:>6.1f}%\n", row.rewrite, row.steps,
               width, row.convs, row.multiplies, 100 * saved(row.multiplies, original.multiplies),
               row.weights, 100 * saved(row.weights, original.weights));
  }
  const bool any =
      std::any_of(rows.begin(), rows.end(), [](const Trial& row) { return !row.refused.empty(); });
  if (any) fmt::print("\nrefused:\n");
  for (const Trial& row : rows) {
    if (row.refused.empty()) continue;
    const bool quoted = row.refused.starts_with("step '" + row.steps + "': ");
    fmt::print("{:<22} {:<{}} {}\n", row.rewrite, row.steps, width,
               quoted ? row.refused.substr(row.steps.size() + 9) : row.refused);
  }
  fmt::print("\nMore can be written by hand, in a plan's \"rewrite\": docs/rewrites.md\n");
}

}  // namespace

Status inspect_space(const Network& network, const std::string& name, bool json) {
  TRY(const int conv, find_conv(network, name));
  const int index = conv_layers(network)[conv];
  const Layer& layer = network.layers[index];
  const Original original{layer.name, shape_hint(network, index), slot_exclusion(network, index),
                          multiplies(layer.op, network.shape(layer.output)),
                          element_count(std::get<Conv>(layer.op).weight->shape)};
  const std::vector<Trial> rows = trials(network, conv);
  json ? print_json(original, conv, rows) : print_table(original, conv, rows);
  return ok();
}

}  // namespace emulsion
