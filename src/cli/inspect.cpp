// emulsion inspect: a network's layers as they will be compiled, and what each could become.
#include <nlohmann/json.hpp>

#include "cli/inspect_space.h"
#include "cli/verb.h"
#include "nest/rewrite.h"
#include "plan/plan.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions : CommonOptions {
  bool verbose = false;
  std::string space;  // the conv whose rewrites are listed, or empty
};

struct PassRun {
  std::string name;
  int round = 0;
  size_t layers_before = 0, layers_after = 0;
  bool changed = false;
};

struct RewriteRow {
  std::string steps;
  int64_t multiplies = 0;
};

struct LayerRow {
  std::string name, op, output, detail;
  int64_t multiplies = 0, weights = 0;
  double share = 0;  // of the network's multiplies
  int conv = -1;     // position among the convs
  std::string excluded;
  std::vector<RewriteRow> rewrites;  // of a slot
};

// The rounds of simplify(), pass by pass.
std::vector<PassRun> passes_run(Network network) {
  std::vector<PassRun> runs;
  int round = 1;
  for (const auto* passes : {&reform_passes(), &simplify_passes()}) {
    std::string before;
    for (std::string text = to_text(network); text != before; ++round) {
      before = text;
      for (const SimplifyPass& pass : *passes) {
        Network after = pass.run(network);
        const std::string after_text = to_text(after);
        runs.push_back(
            {pass.name, round, network.layers.size(), after.layers.size(), after_text != text});
        network = std::move(after);
        text = after_text;
      }
    }
  }
  return runs;
}

std::string detail_of(const Op& op) {
  std::string detail;
  const auto add = [&](const std::string& part) { detail += (detail.empty() ? "" : " ") + part; };
  const auto activation = [&](const std::optional<Activation>& a) {
    if (a) add(fmt::format("+{}", activation_name(a->kind)));
  };
  if (const auto* conv = std::get_if<Conv>(&op)) {
    const Shape& weight = conv->weight->shape;
    if (!conv->prologue.empty()) add("prologue+");
    add(fmt::format("{}x{}", weight[2], weight[3]));
    if (conv->stride != Extent2{1, 1})
      add(fmt::format("stride {}x{}", conv->stride[0], conv->stride[1]));
    if (conv->dilation != Extent2{1, 1}) {
      add(fmt::format("dilation {}x{}", conv->dilation[0], conv->dilation[1]));
    }
    if (conv->groups > 1) add(fmt::format("groups {}", conv->groups));
    if (conv->epilogue.residual) add("+residual");
    activation(conv->epilogue.activation);
  } else if (const auto* dense = std::get_if<Dense>(&op)) {
    activation(dense->activation);
  } else if (const auto* affine = std::get_if<Affine>(&op)) {
    activation(affine->activation);
  } else if (const auto* binary = std::get_if<Binary>(&op)) {
    activation(binary->activation);
  } else if (const auto* alone = std::get_if<Activation>(&op)) {
    add(activation_name(alone->kind));
  } else if (const auto* pool = std::get_if<Pool>(&op)) {
    add(pool->kind == Pool::Kind::max ? "max" : "average");
    add(fmt::format("{}x{}", pool->kernel[0], pool->kernel[1]));
  }
  return detail;
}

std::vector<LayerRow> layer_rows(const Network& network) {
  const double all = static_cast<double>(std::max<int64_t>(1, multiplies(network)));
  std::vector<LayerRow> rows;
  int convs = 0;
  for (int i = 0; i < static_cast<int>(network.layers.size()); ++i) {
    const Layer& layer = network.layers[i];
    LayerRow row{layer.name, op_name(layer.op), to_text(network.shape(layer.output)),
                 detail_of(layer.op)};
    row.multiplies = multiplies(layer.op, network.shape(layer.output));
    row.weights = parameters(layer.op);
    row.share = static_cast<double>(row.multiplies) / all;
    if (const auto* conv = std::get_if<Conv>(&layer.op)) {
      const Shape& input = network.shape(layer.inputs[0]);
      row.conv = convs++;
      row.excluded = slot_exclusion(network, i);
      if (row.excluded.empty()) {
        for (const Steps& steps : rewrites_of(*conv, input)) {
          const Result<RewriteCost> cost = rewrite_cost(*conv, input, steps);
          EMULSION_CHECK(cost.ok());
          row.rewrites.push_back({to_text(steps), cost->multiplies});
        }
      }
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string values_text(const Network& network, const std::vector<ValueId>& ids) {
  std::string text;
  for (const ValueId id : ids) {
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", network.values[id].name,
                        to_text(network.shape(id)));
  }
  return text;
}

// "12.3 M", "456 k"
std::string count_text(int64_t count) {
  const double value = static_cast<double>(count);
  if (count >= 1'000'000) return fmt::format("{:.1f} M", value * 1e-6);
  if (count >= 1'000) return fmt::format("{:.1f} k", value * 1e-3);
  return fmt::format("{}", count);
}

double saved(const LayerRow& row, const RewriteRow& rewrite) {
  return 1 - static_cast<double>(rewrite.multiplies) / static_cast<double>(row.multiplies);
}

void print_passes(const std::vector<PassRun>& runs) {
  fmt::print("simplify:\n");
  for (const PassRun& run : runs) {
    fmt::print("  round {} {:<24}{}\n", run.round, run.name,
               run.changed ? fmt::format("{} -> {} layers", run.layers_before, run.layers_after)
                           : "(unchanged)");
  }
  fmt::print("\n");
}

void print_table(const Network& network, const std::vector<LayerRow>& rows) {
  size_t name_width = 5, detail_width = 6;
  for (const LayerRow& row : rows) {
    name_width = std::max(name_width, std::min<size_t>(row.name.size(), 44));
    detail_width = std::max(detail_width, row.op.size() + 1 + row.detail.size());
  }
  fmt::print("{}: {} -> {}\n\n", network.name, values_text(network, network.inputs),
             values_text(network, network.outputs));
  fmt::print("{:>4} {:>4}  {:<{}}  {:<{}}  {:<15} {:>10} {:>9} {:>6}\n", "", "conv", "layer",
             name_width, "op", detail_width, "output", "multiplies", "weights", "share");
  int index = 0;
  for (const LayerRow& row : rows) {
    fmt::print("{:>4} {:>4}  {:<{}}  {:<{}}  {:<15} {:>10} {:>9} {:>5.1f}%\n", index++,
               row.conv < 0 ? "" : fmt::format("{}", row.conv), row.name.substr(0, 44), name_width,
               row.op + " " + row.detail, detail_width, row.output, count_text(row.multiplies),
               count_text(row.weights), 100 * row.share);
    if (!row.excluded.empty()) fmt::print("{:>11}not to be rewritten: {}\n", "", row.excluded);
    if (row.rewrites.empty()) continue;
    std::string text;
    for (const RewriteRow& rewrite : row.rewrites) {
      const double percent = 100 * saved(row, rewrite);
      text += fmt::format("{}{} (-{:.{}f}%)", text.empty() ? "" : ", ", rewrite.steps, percent,
                          percent > 99 ? 1 : 0);
    }
    fmt::print("{:>11}could become: {}\n", "", text);
  }
  int slot_count = 0;
  for (const LayerRow& row : rows) slot_count += !row.rewrites.empty();
  fmt::print("\n{} layers, {} convs ({} slots), {} multiplies, {} weights, structure {}\n",
             rows.size(), conv_layers(network).size(), slot_count, count_text(multiplies(network)),
             count_text(parameters(network)), structure_hash(network));
}

void print_json(const Network& network, const std::vector<LayerRow>& rows,
                const std::vector<PassRun>& passes) {
  const auto values = [&](const std::vector<ValueId>& ids) {
    Json list = Json::array();
    for (const ValueId id : ids) {
      list.push_back({{"name", network.values[id].name}, {"shape", network.shape(id)}});
    }
    return list;
  };
  Json json;
  json["format"] = "emulsion-inspect-1";
  json["name"] = network.name;
  json["structure"] = structure_hash(network);
  json["inputs"] = values(network.inputs);
  json["outputs"] = values(network.outputs);
  json["multiplies"] = multiplies(network);
  json["weights"] = parameters(network);
  json["layers"] = Json::array();
  for (size_t i = 0; i < rows.size(); ++i) {
    const LayerRow& row = rows[i];
    Json layer;
    layer["name"] = row.name;
    layer["op"] = row.op;
    layer["text"] = to_text(network.layers[i].op);
    layer["output"] = network.shape(network.layers[i].output);
    layer["multiplies"] = row.multiplies;
    layer["weights"] = row.weights;
    layer["share"] = row.share;
    if (row.conv >= 0) {
      layer["conv"] = row.conv;
      if (!row.excluded.empty()) layer["excluded"] = row.excluded;
      layer["rewrites"] = Json::array();
      for (const RewriteRow& rewrite : row.rewrites) {
        layer["rewrites"].push_back({{"steps", rewrite.steps},
                                     {"multiplies", rewrite.multiplies},
                                     {"saved", saved(row, rewrite)}});
      }
    }
    json["layers"].push_back(std::move(layer));
  }
  json["passes"] = Json::array();
  for (const PassRun& run : passes) {
    json["passes"].push_back({{"round", run.round},
                              {"name", run.name},
                              {"layers_before", run.layers_before},
                              {"layers_after", run.layers_after},
                              {"changed", run.changed}});
  }
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

Status inspect(const InspectOptions& options) {
  TRY(const Network imported, load_network(options));
  const Network network = simplify(imported);
  if (!options.space.empty()) return inspect_space(network, options.space, options.json);
  const std::vector<LayerRow> rows = layer_rows(network);
  if (options.json) {
    print_json(network, rows, passes_run(imported));
    return ok();
  }
  if (options.verbose) print_passes(passes_run(imported));
  print_table(network, rows);
  return ok();
}

}  // namespace

std::function<Status()> define_inspect(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  add_model_argument(app, *options);
  app.add_flag("--json", options->json, "Print JSON (docs/formats.md)");
  app.add_option("--space", options->space,
                 "Only what this conv could become: every rewrite with what it saves, or why the "
                 "conv refuses it")
      ->type_name("LAYER");
  app.add_flag("--verbose", options->verbose, "Also say what each simplification did");
  app.footer(
      "A multiply is a multiply-add, padding counted. A slot is a conv that explore may rewrite; "
      "for the others\n"
      "the reason is given.\n"
      "Examples:\n  emulsion inspect resnet18.onnx\n"
      "  emulsion inspect resnet18.onnx --space layer2.0.conv2");
  return [options] { return inspect(*options); };
}

}  // namespace emulsion
