// emulsion model: a published network as .onnx.
#include "base/interrupt.h"
#include "cli/operands.h"
#include "cli/verb.h"
#include "models/models.h"
#include "onnx/export.h"

namespace emulsion {
namespace {

struct ModelOptions {
  std::string name, output;
  uint64_t seed = 0;
  bool list = false;
};

Status write_model(const ModelOptions& options) {
  if (options.list) {
    for (const Model& model : models()) fmt::print("{:<22}{}\n", model.name, model.sentence);
    return ok();
  }
  if (options.name.empty()) return error("name a model; `emulsion model --list` shows them");
  if (options.output.empty()) return error("say where the model goes: -o {}.onnx", options.name);
  TRY_OK(check_writable(options.output));
  TRY(const Network network, build_model(options.name, options.seed));
  if (interrupted()) return Error{"interrupted; nothing was written", ExitCode::interrupted};
  TRY_OK(export_onnx(network, options.output));
  fmt::print("wrote {}: {}, {:.2f} M weights, {:.2f} G multiplies, seed {}\n", options.output,
             network.name, static_cast<double>(parameters(network)) * 1e-6,
             static_cast<double>(multiplies(network)) * 1e-9, options.seed);
  return ok();
}

}  // namespace

std::function<Status()> define_model(CLI::App& app) {
  auto options = std::make_shared<ModelOptions>();
  app.add_option("name", options->name, "Which network")->type_name("NAME");
  app.add_option("-o,--output", options->output, "Where it goes")->type_name("F.onnx");
  app.add_option("--seed", options->seed, "Of its weights")
      ->check(whole_number())
      ->capture_default_str();
  app.add_flag("--list", options->list, "List the networks");
  app.footer(
      "The weights are random (He-normal, with batch norms that are not trivial); the same seed "
      "gives the same\n"
      "weights everywhere.\n"
      "Example:\n  emulsion model resnet34-cifar10 -o resnet34.onnx");
  return [options] { return write_model(*options); };
}

}  // namespace emulsion
