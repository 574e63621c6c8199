// emulsion verify: the compiled network against everything that knows its answer.
#include <algorithm>

#include "base/file.h"
#include "base/progress.h"
#include "cli/comparison.h"
#include "cli/onnx_runtime.h"
#include "cli/operands.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "compile/loaded_network.h"
#include "compile/prepare.h"
#include "kernels/loaded_kernel.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "nest/rewrite.h"
#include "network/evaluate.h"
#include "onnx/export.h"
#include "onnx/tensor_file.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

struct VerifyOptions : CommonOptions {
  std::vector<std::string> inputs, expect;
  std::string data, plan, python;
  double tolerance = 1e-3;
  bool tolerance_given = false;
  int threads = 1;
  uint64_t seed = 0;
  bool layers = false;
};

// What the network is run on, and what is given as its answer.
struct Data {
  std::vector<Tensor> inputs, expected;
  std::string given;  // what `expected` is from; "" when there is none
};

Result<std::vector<Tensor>> load_pb_tensors(const Network& network, const std::vector<ValueId>& ids,
                                            const std::filesystem::path& folder,
                                            const char* prefix) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto file = folder / fmt::format("{}_{}.pb", prefix, i);
    TRY(Tensor tensor, read_tensor_pb(file));
    TRY_OK(check_tensor(network, ids[i], tensor, file.string()));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

Result<Data> load_data(const VerifyOptions& options, const Network& network) {
  Data data;
  if (!options.data.empty()) {
    TRY(data.inputs, load_pb_tensors(network, network.inputs, options.data, "input"));
    TRY(data.expected, load_pb_tensors(network, network.outputs, options.data, "output"));
    data.given = options.data;
    return data;
  }
  if (options.inputs.empty()) {
    data.inputs = seeded_inputs(network, options.seed);
    return data;
  }
  TRY(data.inputs, load_tensors(network, network.inputs, options.inputs, "--input"));
  if (!options.expect.empty()) {
    TRY(data.expected, load_tensors(network, network.outputs, options.expect, "--expect"));
    data.given = fmt::format("{}", fmt::join(options.expect, " "));
  }
  return data;
}

// The network under a plan that changes it.
Result<std::optional<Network>> rewritten_network(const Network& network, const Plan& plan) {
  const std::map<int, Steps> changes = rewrites(plan);
  if (changes.empty()) return std::optional<Network>{};
  TRY(Network rewritten, apply_rewrites(simplify(network), changes));
  return std::optional<Network>{std::move(rewritten)};
}

// ONNX Runtime on the file, or, under a plan that changes the network, on the changed network.
Result<Comparison> compare_with_onnx_runtime(const VerifyOptions& options,
                                             const std::optional<Network>& rewritten,
                                             const Data& data, const std::vector<Tensor>& got,
                                             double tolerance) {
  Comparison comparison{"ONNX Runtime", 0, tolerance, ""};
  const auto oracle = find_python_with("onnxruntime", options.python);
  if (!oracle) {
    comparison.note = "not installed";
    return comparison;
  }
  comparison.oracle += " " + oracle->version;
  const TemporaryDirectory folder;
  std::filesystem::path model = options.model;
  if (rewritten) {
    model = folder.path() / "rewritten.onnx";
    TRY_OK(export_onnx(*rewritten, model));
  }
  const auto expected = run_onnx_runtime(*oracle, model, data.inputs);
  if (!expected.ok() && expected.error().code == ExitCode::interrupted) return expected.error();
  if (!expected.ok()) {
    comparison.note = "cannot run it: " + expected.error().message;
    return comparison;
  }
  return compare(comparison.oracle, got, *expected, tolerance);
}

// Every layer's kernel alone, on the reference's inputs to it.
Result<std::vector<Comparison>> compare_layers(const PreparedNetwork& prepared, KernelCache& cache,
                                               const std::vector<Tensor>& inputs) {
  const Network& network = prepared.laid_out.network;
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) specs.push_back(call.spec);
  TRY(const std::vector<Tensor> values, evaluate_all(network, inputs));
  {
    Progress bar("compiling");
    for (const auto& compiled : cache.compile(specs, [&](int done, int) { bar.update(done); })) {
      if (!compiled.ok()) return compiled.error();
    }
  }
  std::vector<Comparison> comparisons;
  for (const KernelCall& call : prepared.calls) {
    const Layer& layer = network.layers[call.layer];
    const KernelSpec& spec = call.spec;
    TRY(const LoadedKernel kernel, LoadedKernel::load(cache, spec));
    std::vector<KernelBuffer> buffers;
    std::vector<const float*> arguments, packed;
    for (size_t k = 0; k < spec.inputs.size(); ++k) {
      buffers.emplace_back(spec.inputs[k]).set(values[layer.inputs[k]]);
      arguments.push_back(buffers.back().origin());
    }
    const std::vector<PackedConstant> constants = pack_constants(spec, layer.op);
    for (const PackedConstant& constant : constants) {
      buffers.push_back(stored_constant(constant));
      packed.push_back(buffers.back().origin());
    }
    KernelBuffer output(spec.output);
    TRY_OK(kernel.run(arguments, packed, output.origin()));
    const char* const weights = spec.weights == ElementType::f16 ? ", 16-bit weights" : "";
    comparisons.push_back(compare(fmt::format("layer {} {} ({}, {}{})", call.layer, layer.name,
                                              op_name(layer.op), spec.algorithm, weights),
                                  {output.get()}, {values[layer.output]}, error_bound(spec)));
  }
  return comparisons;
}

int64_t half_layers(const CompiledNetwork& compiled) {
  return std::count_if(compiled.kernels.begin(), compiled.kernels.end(),
                       [](const KernelUse& use) { return use.weights == ElementType::f16; });
}

// What a plan risks was held to a tolerance against the network with safe choices; the reference is
// that far away again.
double tolerance_of(const VerifyOptions& options, const CompiledNetwork& compiled) {
  const bool risky =
      std::any_of(compiled.kernels.begin(), compiled.kernels.end(), [](const KernelUse& use) {
        return use.weights == ElementType::f16 ||
               find_algorithm(use.algorithm)->error_bound > k_default_error;
      });
  return risky && !options.tolerance_given ? 2 * options.tolerance : options.tolerance;
}

Status verify_network(const VerifyOptions& options) {
  if (!options.expect.empty() && options.inputs.empty()) {
    return error("--expect: give the inputs it belongs to with --input");
  }
  TRY(const Network network, load_network(options));
  TRY(const Plan plan, load_plan(options.plan, network));
  TRY(const Data data, load_data(options, network));
  TRY(const std::optional<Network> rewritten, rewritten_network(network, plan));

  CompileOptions compile;
  compile.name = c_identifier(network.name);
  compile.threads = options.threads;
  TRY(compile.target, resolve_target(options.target));
  TRY_OK(check_runs_here(compile.target));
  TRY_OK(check_cache(options));
  KernelCache cache = kernel_cache(options);
  TRY(LoadedNetwork loaded, LoadedNetwork::load(network, plan, cache, compile));
  TRY(const std::vector<Tensor> got, loaded.run(data.inputs));
  const double tolerance = tolerance_of(options, loaded.compiled());

  std::vector<Comparison> comparisons;
  // The network as it was imported: what simplify does is under test too.
  TRY(const std::vector<Tensor> reference, evaluate(rewritten ? *rewritten : network, data.inputs));
  comparisons.push_back(compare("plain reference", got, reference, tolerance));
  if (!data.given.empty()) {
    comparisons.push_back(compare(data.given, got, data.expected, tolerance));
  }
  TRY(const Comparison runtime,
      compare_with_onnx_runtime(options, rewritten, data, got, tolerance));
  comparisons.push_back(runtime);
  if (options.layers) {
    TRY(const PreparedNetwork prepared, prepare(network, plan, compile.target, compile.threads));
    TRY(const auto layers, compare_layers(prepared, cache, data.inputs));
    comparisons.insert(comparisons.end(), layers.begin(), layers.end());
  }

  if (options.json) {
    print_json(comparisons);
  } else {
    print_table(comparisons);
    if (const auto count = half_layers(loaded.compiled()); count > 0)
      fmt::print("Layers with 16-bit weights, as the plan says: {}.\n", count);
  }
  for (const Comparison& c : comparisons) {
    if (!c.holds()) {
      return Error{
          fmt::format("{}: differs from {} by {:.2e} of the largest output, more than {:g}",
                      options.model, c.oracle, c.difference, c.tolerance),
          ExitCode::answer_is_no};
    }
  }
  return ok();
}

}  // namespace

std::function<Status()> define_verify(CLI::App& app) {
  auto options = std::make_shared<VerifyOptions>();
  add_model_argument(app, *options);
  CLI::Option* data =
      app.add_option("--data", options->data, "An ONNX test data set: input_0.pb, ..., output_0.pb")
          ->type_name("DIR")
          ->check(CLI::ExistingDirectory);
  app.add_option("--input", options->inputs, "Input as .npy. Without inputs: seeded noise")
      ->type_name("[NAME=]X.npy")
      ->excludes(data);
  app.add_option("--expect", options->expect, "The output expected on that input, as .npy")
      ->type_name("[NAME=]Y.npy")
      ->excludes(data);
  app.add_option("--plan", options->plan, "How to compute it; without one, the defaults")
      ->type_name("P.json");
  app.add_flag("--layers", options->layers,
               "Run every layer's kernel alone too, held to its algorithm's error bound");
  app.add_option("--tolerance", options->tolerance,
                 "Largest difference accepted of a network, relative to its largest output. Direct "
                 "algorithms alone stay below 1e-4; Winograd rounds more. Default for a plan with "
                 "F(6x6) or 16-bit weights: twice as much")
      ->check(number_between(0, 1e9))
      ->each([options](const std::string&) { options->tolerance_given = true; })
      ->capture_default_str();
  app.add_option("--seed", options->seed, "Of the noise")
      ->check(whole_number())
      ->capture_default_str();
  app.add_option("--threads", options->threads, "Threads")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  app.add_option("--python", options->python,
                 "A Python with onnxruntime. Default: python3, then .venv/bin/python")
      ->type_name("PATH");
  app.add_flag("--json", options->json, "Print JSON");
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion verify resnet18.onnx --layers\n"
      "  emulsion verify model.onnx --data test_data_set_0\n"
      "Exit code 1 when something differs.");
  return [options] { return verify_network(*options); };
}

}  // namespace emulsion
