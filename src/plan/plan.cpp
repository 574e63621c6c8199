#include "plan/plan.h"

#include <algorithm>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "nest/rewrite.h"

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* k_format = "emulsion-plan-1";
constexpr int k_most_threads = 256;  // of a compiled network

std::string image_hint(const Shape& shape) {
  return fmt::format("{}x{}x{}", shape[1], shape[2], shape[3]);
}

// Reads one JSON object strictly: every key is known, has its type, and is there unless it is
// optional.
class ObjectReader {
 public:
  ObjectReader(const Json& json, std::string where) : json_(json), where_(std::move(where)) {}

  Status keys(const std::set<std::string>& known) const {
    if (!json_.is_object()) return error("{}: expected an object, found {}", where_, type(json_));
    for (const auto& [key, value] : json_.items()) {
      if (!known.contains(key)) {
        return error("{}: unknown key \"{}\"; the keys are {}", where_, key,
                     fmt::join(known, ", "));
      }
    }
    return ok();
  }

  bool has(const char* key) const { return json_.contains(key); }

  Result<std::string> text(const char* key) const {
    TRY(const Json* value, find(key));
    if (!value->is_string()) return wrong(key, "a string", *value);
    return value->get<std::string>();
  }

  Result<int> integer(const char* key, int low, int high = std::numeric_limits<int>::max()) const {
    TRY(const Json* value, find(key));
    const bool fits = value->is_number_unsigned()
                          ? value->get<uint64_t>() <= static_cast<uint64_t>(high)
                          : value->is_number_integer() && value->get<int64_t>() >= low;
    if (!fits || value->get<int64_t>() < low) {
      const bool bounded = high != std::numeric_limits<int>::max();
      return wrong(key,
                   bounded ? fmt::format("an integer from {} to {}", low, high)
                           : fmt::format("an integer of at least {}", low),
                   *value);
    }
    return value->get<int>();
  }

  Result<bool> boolean(const char* key) const {
    TRY(const Json* value, find(key));
    if (!value->is_boolean()) return wrong(key, "true or false", *value);
    return value->get<bool>();
  }

  Result<const Json*> array(const char* key) const {
    TRY(const Json* value, find(key));
    if (!value->is_array()) return wrong(key, "an array", *value);
    return value;
  }

  std::string at(const char* key) const { return fmt::format("{}: key \"{}\"", where_, key); }

 private:
  static std::string type(const Json& value) {
    return value.is_number() ? "the number " + value.dump()
                             : "a value of type " + std::string(value.type_name());
  }
  Error wrong(const char* key, const std::string& expected, const Json& value) const {
    return emulsion::error("{} must be {}, found {}", at(key), expected, type(value));
  }
  Result<const Json*> find(const char* key) const {
    if (!json_.contains(key)) return error("{} is missing", at(key));
    return &json_.at(key);
  }

  const Json& json_;
  std::string where_;
};

Result<KernelChoice> parse_kernel(const Json& json, const std::string& where) {
  const ObjectReader reader(json, where);
  TRY_OK(reader.keys({"algorithm", "schedule", "weights"}));
  KernelChoice kernel;
  TRY(kernel.algorithm, reader.text("algorithm"));
  if (reader.has("schedule")) {
    TRY(kernel.schedule, reader.text("schedule"));
    const auto steps = parse_steps(kernel.schedule);
    if (!steps.ok()) return steps.error().in(reader.at("schedule"));
    if (std::any_of(steps->begin(), steps->end(), is_neural)) {
      return error("{} holds a step that changes what is computed; that belongs in \"rewrite\"",
                   reader.at("schedule"));
    }
  }
  if (reader.has("weights")) {
    TRY(const std::string text, reader.text("weights"));
    const auto type = parse_element_type(text);
    if (!type) return error("{} must be f32 or f16, found \"{}\"", reader.at("weights"), text);
    kernel.weights = *type;
  }
  return kernel;
}

Result<LayerChoice> parse_layer(const Json& json, const std::string& where) {
  const ObjectReader reader(json, where);
  TRY_OK(reader.keys({"conv", "name", "shape", "rewrite", "kernels"}));
  LayerChoice layer;
  TRY(layer.conv, reader.integer("conv", 0));
  if (reader.has("name")) {
    TRY(layer.name, reader.text("name"));
  }
  if (reader.has("shape")) {
    TRY(layer.shape, reader.text("shape"));
  }
  if (reader.has("rewrite")) {
    TRY(const std::string text, reader.text("rewrite"));
    auto steps = parse_steps(text);
    if (!steps.ok()) return steps.error().in(reader.at("rewrite"));
    layer.rewrite = *std::move(steps);
  }
  if (reader.has("kernels")) {
    TRY(const Json* kernels, reader.array("kernels"));
    for (const Json& kernel : *kernels) {
      TRY(layer.kernels.emplace_back(),
          parse_kernel(kernel, fmt::format("{}: kernels[{}]", where, layer.kernels.size())));
    }
  }
  return layer;
}

Json to_json(const LayerChoice& layer) {
  Json json;
  json["conv"] = layer.conv;
  if (!layer.name.empty()) json["name"] = layer.name;
  if (!layer.shape.empty()) json["shape"] = layer.shape;
  if (!layer.rewrite.empty()) json["rewrite"] = to_text(layer.rewrite);
  for (const KernelChoice& kernel : layer.kernels) {
    Json choice;
    choice["algorithm"] = kernel.algorithm;
    if (!kernel.schedule.empty()) choice["schedule"] = kernel.schedule;
    if (kernel.weights != ElementType::f32) choice["weights"] = to_text(kernel.weights);
    json["kernels"].push_back(std::move(choice));
  }
  return json;
}

// Names need not be UTF-8 in a damaged file; what is not is replaced, for they are hints.
std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<Plan> parse(const std::string& text, const std::string& file_name) {
  Json json;
  try {
    json = Json::parse(text);
  } catch (const Json::parse_error& parse_error) {
    return error("{}: not JSON: error at byte {}", file_name, parse_error.byte);
  } catch (const Json::exception& json_error) {
    return error("{}: not JSON: {}", file_name, json_error.what());
  }
  const ObjectReader reader(json, file_name);
  TRY_OK(reader.keys({"format", "network", "target", "threads", "layers", "dense_f16", "huge_pages",
                      "prefetch_next_kb"}));
  TRY(const std::string format, reader.text("format"));
  if (format != k_format) {
    return error("{} is \"{}\"; this program reads \"{}\"", reader.at("format"), format, k_format);
  }
  Plan plan;
  TRY(plan.network, reader.text("network"));
  if (reader.has("target")) {
    TRY(plan.target, reader.text("target"));
  }
  if (reader.has("threads")) {
    TRY(plan.threads, reader.integer("threads", 1, k_most_threads));
  }
  TRY(const Json* layers, reader.array("layers"));
  for (const Json& layer : *layers) {
    const std::string where = fmt::format("{}: layers[{}]", file_name, plan.layers.size());
    TRY(LayerChoice choice, parse_layer(layer, where));
    if (!plan.layers.empty() && plan.layers.back().conv >= choice.conv) {
      return error("{}: key \"conv\" is {} after {}; layers must ascend", where, choice.conv,
                   plan.layers.back().conv);
    }
    plan.layers.push_back(std::move(choice));
  }
  if (reader.has("dense_f16")) {
    TRY(const Json* positions, reader.array("dense_f16"));
    for (const Json& position : *positions) {
      const int last = plan.dense_f16.empty() ? -1 : plan.dense_f16.back();
      if (!position.is_number_integer() || position.get<int64_t>() <= last ||
          position.get<int64_t>() > std::numeric_limits<int>::max()) {
        return error("{} must hold ascending integers of at least 0, found {}",
                     reader.at("dense_f16"), position.dump());
      }
      plan.dense_f16.push_back(position.get<int>());
    }
  }
  if (reader.has("huge_pages")) {
    TRY(plan.streaming.huge_pages, reader.boolean("huge_pages"));
  }
  if (reader.has("prefetch_next_kb")) {
    TRY(plan.streaming.prefetch_next_kb,
        reader.integer("prefetch_next_kb", 0, k_most_prefetch_next_kb));
  }
  return plan;
}

int count_dense(const Network& network) {
  return static_cast<int>(
      std::count_if(network.layers.begin(), network.layers.end(),
                    [](const Layer& layer) { return std::holds_alternative<Dense>(layer.op); }));
}

Status check_all(const Plan& plan, const Network& simplified) {
  const std::vector<int> convs = conv_layers(simplified);
  for (const LayerChoice& choice : plan.layers) {
    if (choice.conv < 0 || choice.conv >= static_cast<int>(convs.size())) {
      return error("the plan is for another network: it has a conv {}, and {} has convs 0 to {}",
                   choice.conv, simplified.name, static_cast<int>(convs.size()) - 1);
    }
    const int layer = convs[choice.conv];
    const std::string hint = shape_hint(simplified, layer);
    if (!choice.shape.empty() && choice.shape != hint) {
      return error(
          "the plan is for another network: conv {} is \"{}\" in the plan and \"{}\" ({}) here",
          choice.conv, choice.shape, hint, simplified.layers[layer].name);
    }
  }
  if (!plan.network.empty() && plan.network != structure_hash(simplified)) {
    return error(
        "the plan is for another network: its structure is {}, that of {} is {}; the convs that "
        "the plan names have the same shapes",
        plan.network, simplified.name, structure_hash(simplified));
  }
  if (!plan.dense_f16.empty() && plan.dense_f16.back() >= count_dense(simplified)) {
    return error("the plan is for another network: it has a dense layer {}, and {} has {} of them",
                 plan.dense_f16.back(), simplified.name, count_dense(simplified));
  }
  const auto left = convs_after(simplified, rewrites(plan));
  if (!left.ok()) {
    return Error{"the plan's " + left.error().message, left.error().code};
  }
  for (const LayerChoice& choice : plan.layers) {
    const int count = (*left)[choice.conv].count;
    if (!choice.kernels.empty() && static_cast<int>(choice.kernels.size()) != count) {
      return error("the plan's conv {} has {} kernels; after its rewrite there are {} convs",
                   choice.conv, choice.kernels.size(), count);
    }
  }
  return ok();
}

// What a file holds may be quoted in an error, which is one line.
Error one_line(Error error) {
  for (char& c : error.message) {
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  }
  return error;
}

// By number among the convs that are left: as the plan has them, or as the rewrite's own program
// steps run them.
std::map<int, KernelChoice> kernels_of(const LayerChoice& choice, const ConvsLeft& convs) {
  std::map<int, KernelChoice> kernels;
  for (size_t i = 0; i < choice.kernels.size(); ++i)
    kernels[static_cast<int>(i)] = choice.kernels[i];
  if (!kernels.empty()) return kernels;
  for (const int conv : convs.scheduled) kernels[conv] = {"direct", to_text(convs.schedule)};
  return kernels;
}

}  // namespace

std::string shape_hint(const Network& network, int layer) {
  const Layer& conv_layer = network.layers[layer];
  const Conv& conv = std::get<Conv>(conv_layer.op);
  const Shape& kernel = conv.weight->shape;
  const auto pair = [](const char* letter, int64_t rows, int64_t columns) {
    return rows == columns ? fmt::format(" {}{}", letter, rows)
                           : fmt::format(" {}{}x{}", letter, rows, columns);
  };
  std::string hint =
      fmt::format("{} -> {} k{}x{} s{}x{} g{}", image_hint(network.shape(conv_layer.inputs[0])),
                  image_hint(network.shape(conv_layer.output)), kernel[2], kernel[3],
                  conv.stride[0], conv.stride[1], conv.groups);
  if (conv.dilation != Extent2{1, 1}) hint += pair("d", conv.dilation[0], conv.dilation[1]);
  return hint;
}

std::string to_json(const Plan& plan) {
  // One line a layer, so that a diff shows the layers that changed.
  std::string text = "{\n";
  text += fmt::format("  \"format\": \"{}\",\n", k_format);
  text += fmt::format("  \"network\": {},\n", dump(plan.network));
  text += fmt::format("  \"target\": {},\n", dump(plan.target));
  text += fmt::format("  \"threads\": {},\n", plan.threads);
  text += "  \"layers\": [";
  for (size_t i = 0; i < plan.layers.size(); ++i) {
    text += fmt::format("{}\n    {}", i ? "," : "", dump(to_json(plan.layers[i])));
  }
  text += plan.layers.empty() ? "]" : "\n  ]";
  if (!plan.dense_f16.empty())
    text += fmt::format(",\n  \"dense_f16\": [{}]", fmt::join(plan.dense_f16, ", "));
  if (!plan.streaming.huge_pages) text += ",\n  \"huge_pages\": false";
  if (plan.streaming.prefetch_next_kb > 0)
    text += fmt::format(",\n  \"prefetch_next_kb\": {}", plan.streaming.prefetch_next_kb);
  text += "\n}\n";
  return text;
}

Result<Plan> parse_plan(const std::string& json, const std::string& file_name) {
  Result<Plan> plan = parse(json, file_name);
  if (!plan.ok()) return one_line(plan.error());
  return plan;
}

std::map<int, Steps> rewrites(const Plan& plan) {
  std::map<int, Steps> result;
  for (const LayerChoice& layer : plan.layers) {
    if (!layer.rewrite.empty()) result[layer.conv] = layer.rewrite;
  }
  return result;
}

Status check(const Plan& plan, const Network& simplified) {
  const Status status = check_all(plan, simplified);
  if (!status.ok()) return one_line(status.error());
  return ok();
}

Plan rewritten_plan(const Plan& plan, const Network& simplified_original,
                    const Network& simplified_rewritten) {
  const std::vector<int> before = conv_layers(simplified_original);
  const std::vector<int> after = conv_layers(simplified_rewritten);
  Plan result = plan;
  result.network = structure_hash(simplified_rewritten);
  result.layers.clear();
  const auto left = convs_after(simplified_original, rewrites(plan));
  EMULSION_CHECK(left.ok());  // check() has passed
  auto choice = plan.layers.begin();
  int position = 0;  // in `after`
  for (int conv = 0; conv < static_cast<int>(before.size()); ++conv) {
    if (choice == plan.layers.end() || choice->conv != conv) {
      ++position;
      continue;
    }
    const ConvsLeft& convs = (*left)[conv];
    for (const auto& [i, kernel] : kernels_of(*choice, convs)) {
      const int place = position + i, layer = after.at(place);
      result.layers.push_back({place,
                               simplified_rewritten.layers[layer].name,
                               shape_hint(simplified_rewritten, layer),
                               {},
                               {kernel}});
    }
    position += convs.count;
    ++choice;
  }
  EMULSION_CHECK(position == static_cast<int>(after.size()));
  return result;
}

}  // namespace emulsion
