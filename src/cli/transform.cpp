// emulsion transform: the network that a plan's rewrites make, with inherited weights, as .onnx,
// and its plan.
#include <filesystem>

#include "base/file.h"
#include "base/npy.h"
#include "base/progress.h"
#include "cli/operands.h"
#include "cli/verb.h"
#include "legality/kernel_convs.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "nest/recalibrate.h"
#include "nest/rewrite.h"
#include "onnx/export.h"
#include "plan/plan.h"
#include "pytorch/export_pytorch.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

namespace fs = std::filesystem;

struct TransformOptions : CommonOptions {
  std::string plan, output, pytorch, data;
};

Result<Tensor> read_images(const std::string& path) {
  TRY(const Npy array, read_npy(path));
  return Tensor(array.shape, std::vector<float>(array.values.begin(), array.values.end()));
}

Result<RecalibratedNetwork> rewrite(const Network& network, const std::map<int, Steps>& steps,
                                    const TransformOptions& options) {
  if (options.data.empty()) {
    TRY(Network result, apply_rewrites(network, steps));
    return RecalibratedNetwork{std::move(result), 0, 0};
  }
  TRY(const Tensor images, read_images(options.data));
  TRY_OK(check_cache(options));
  KernelCache cache = kernel_cache(options);
  TRY(const std::string target, resolve_target("host"));
  KernelEngine engine(cache, target);
  Progress progress("statistics");
  KernelConvs convs(engine, [&](int done, int all) {
    progress.update(done, fmt::format("of {} kernels compiled", all));
  });
  auto result = rewrite_on_data(network, steps, images, &convs, [&](int done, int all) {
    progress.update(done, fmt::format("of {} layers", all));
  });
  if (!result.ok()) return result.error().in(options.data);
  return result;
}

// T.py and its weights, T.npz.
Result<std::vector<fs::path>> pytorch_files(const fs::path& source) {
  if (source.extension() != ".py") {
    return error("--pytorch {}: the file's name must end in .py", source.string());
  }
  fs::path weights = source;
  weights.replace_extension(".npz");
  return std::vector<fs::path>{source, weights};
}

// The plan's kernels go on into the new plan: a name that compile will not know is said now.
Status check_algorithms(const Plan& plan, const std::string& file) {
  for (const LayerChoice& layer : plan.layers) {
    for (const KernelChoice& kernel : layer.kernels) {
      if (kernel.algorithm.empty() || find_algorithm(kernel.algorithm)) continue;
      std::string names;
      for (const Algorithm& algorithm : algorithms()) names += fmt::format(" {}", algorithm.name);
      return error("{}: conv {}: no algorithm is called '{}'; there are:{}", file, layer.conv,
                   kernel.algorithm, names);
    }
  }
  return ok();
}

Status transform(const TransformOptions& options) {
  const fs::path output = options.output;
  fs::path plan_output = output;
  plan_output.replace_extension(".plan.json");
  // Convs are numbered as a plan numbers them.
  TRY(const Network imported, load_network(options));
  const Network network = reform(imported);
  TRY(const Plan plan, load_plan(options.plan, network));
  TRY_OK(check_algorithms(plan, options.plan));
  TRY_OK(check_writable(output));
  TRY_OK(check_writable(plan_output));
  std::vector<fs::path> outputs{output, plan_output};
  if (!options.pytorch.empty()) {
    TRY(const auto files, pytorch_files(options.pytorch));
    outputs.insert(outputs.end(), files.begin(), files.end());
    for (const fs::path& file : files) TRY_OK(check_writable(file));
  }
  TRY_OK(check_distinct({options.model, options.plan, options.data}, outputs));

  const std::map<int, Steps> steps = rewrites(plan);
  TRY(const RecalibratedNetwork result, rewrite(network, steps, options));
  TRY(const std::string bytes, export_onnx_bytes(result.network));
  // The plan is for the file as it will be read.
  auto read_back = import_onnx_bytes(bytes, output);
  EMULSION_CHECK(read_back.ok());
  const Plan plan_after = rewritten_plan(plan, simplify(network), simplify(*read_back));
  TRY_OK(write_file(output, bytes));
  TRY_OK(write_file(plan_output, to_json(plan_after)));

  if (!options.pytorch.empty()) {
    TRY(const auto files, pytorch_files(options.pytorch));
    TRY(const PytorchModule module, export_pytorch(result.network));
    TRY_OK(write_file(files[0], module.source));
    TRY_OK(write_file(files[1], module.weights));
    fmt::print("wrote {} and {}: the same network in PyTorch\n", files[0].string(),
               files[1].string());
  }
  fmt::print("wrote {} and {}: {} convs rewritten, {:.1f} M multiplies instead of {:.1f} M\n",
             output.string(), plan_output.string(), steps.size(),
             static_cast<double>(multiplies(result.network)) * 1e-6,
             static_cast<double>(multiplies(network)) * 1e-6);
  if (steps.empty()) return ok();
  if (options.data.empty()) {
    fmt::print(
        "without --data, batch norms keep the statistics of the original and none is put back "
        "where one was "
        "folded into a conv: fine-tune before use, or give --data\n");
  } else {
    fmt::print("statistics of {} batch norms set from {}, {} batch norms put back\n",
               result.renewed, options.data, result.inserted);
  }
  return ok();
}

}  // namespace

std::function<Status()> define_transform(CLI::App& app) {
  auto options = std::make_shared<TransformOptions>();
  add_model_argument(app, *options);
  app.add_option("--plan", options->plan, "Whose rewrites to make")
      ->required()
      ->type_name("P.json");
  app.add_option("-o,--output", options->output,
                 "Where the network goes; its plan goes to T.plan.json")
      ->required()
      ->type_name("T.onnx");
  app.add_option(
         "--pytorch", options->pytorch,
         "Write it as a PyTorch module too, to fine-tune; its weights go to T.npz beside it")
      ->type_name("T.py");
  app.add_option("--data", options->data,
                 "Images, float32 [N, C, H, W] as the network expects them, that set the "
                 "statistics of batch "
                 "norms behind rewritten convs")
      ->type_name("IMAGES.npy");
  add_cache_options(app, *options);
  app.footer(
      "Weights are inherited: slices for groups, a truncated SVD for bottlenecks. Fine-tune T.onnx "
      "in your\n"
      "framework (with --pytorch: examples/finetune.py), export it, then\n"
      "`emulsion compile --plan T.plan.json`.\n"
      "Example:\n  emulsion transform resnet18.onnx --plan out/plans/2x.json --data images.npy -o "
      "small.onnx");
  return [options] { return transform(*options); };
}

}  // namespace emulsion
