// emulsion run: a network on .npy inputs, through the library that an app would link.
#include "base/file.h"
#include "base/npy.h"
#include "cli/operands.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "compile/loaded_network.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct RunOptions : CommonOptions {
  std::vector<std::string> inputs, outputs;
  std::string plan;
  int threads = 1;
};

Status run_network(const RunOptions& options) {
  TRY(const Network network, load_network(options));
  TRY(const Plan plan, load_plan(options.plan, network));
  TRY(const auto inputs, load_tensors(network, network.inputs, options.inputs, "--input"));
  TRY(const auto files, assign_files(network, network.outputs, options.outputs, "--output"));
  // Compiling takes a while: an output that cannot be written is said before.
  for (const auto& file : files) TRY_OK(check_writable(file));
  TRY(auto read, assign_files(network, network.inputs, options.inputs, "--input"));
  read.insert(read.end(), {options.model, options.plan});
  TRY_OK(check_distinct(read, files));

  CompileOptions compile;
  compile.name = c_identifier(network.name);
  compile.threads = options.threads;
  TRY(compile.target, resolve_target(options.target));
  TRY_OK(check_runs_here(compile.target));
  TRY_OK(check_cache(options));
  KernelCache cache = kernel_cache(options);
  TRY(LoadedNetwork loaded, LoadedNetwork::load(network, plan, cache, compile));
  TRY(const std::vector<Tensor> outputs, loaded.run(inputs));
  for (size_t i = 0; i < files.size(); ++i) {
    TRY_OK(write_npy(files[i], outputs[i].shape, outputs[i].data));
  }
  return ok();
}

}  // namespace

std::function<Status()> define_run(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  add_model_argument(app, *options);
  app.add_option("--input", options->inputs, "Input as .npy, in the shape that the ONNX has")
      ->required()
      ->type_name("[NAME=]X.npy");
  app.add_option("--output", options->outputs, "Where the output goes, as .npy")
      ->required()
      ->type_name("[NAME=]Y.npy");
  app.add_option("--plan", options->plan, "How to compute it; without one, the defaults")
      ->type_name("P.json");
  app.add_option("--threads", options->threads, "Threads")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion run resnet18.onnx --input x.npy --output y.npy\n"
      "A network of several inputs or outputs takes --input and --output once for each, as "
      "NAME=FILE.");
  return [options] { return run_network(*options); };
}

}  // namespace emulsion
