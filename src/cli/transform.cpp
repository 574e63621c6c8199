// emulsion transform: the network that a plan's rewrites make, with inherited weights, as .onnx,
// and its plan.
#include <filesystem>

#include "base/file.h"
#include "base/npy.h"
#include "base/progress.h"
#include "cli/operands.h"
#include "cli/verb.h"
#include "nest/recalibrate.h"
#include "nest/rewrite.h"
#include "onnx/export.h"
#include "plan/plan.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

struct TransformOptions : CommonOptions {
  std::string plan, output, data;
};

Result<Tensor> read_images(const std::string& path) {
  TRY(const Npy array, read_npy(path));
  return Tensor(array.shape, std::vector<float>(array.values.begin(), array.values.end()));
}

Result<RecalibratedNetwork> rewrite(const Network& network, const std::map<int, Steps>& steps,
                                    const std::string& data) {
  if (data.empty()) {
    TRY(Network result, apply_rewrites(network, steps));
    return RecalibratedNetwork{std::move(result), 0, 0};
  }
  TRY(const Tensor images, read_images(data));
  Progress progress("statistics");
  auto result = rewrite_on_data(network, steps, images, [&](int done, int all) {
    progress.update(done, fmt::format("of {} layers", all));
  });
  if (!result.ok()) return result.error().in(data);
  return result;
}

Status transform(const TransformOptions& options) {
  const std::filesystem::path output = options.output;
  std::filesystem::path plan_output = output;
  plan_output.replace_extension(".plan.json");
  // Convs are numbered as a plan numbers them.
  TRY(const Network imported, load_network(options));
  const Network network = reform(imported);
  TRY(const Plan plan, load_plan(options.plan, network));
  TRY_OK(check_writable(output));
  TRY_OK(check_writable(plan_output));
  TRY_OK(check_distinct({options.model, options.plan, options.data}, {output, plan_output}));

  const std::map<int, Steps> steps = rewrites(plan);
  TRY(const RecalibratedNetwork result, rewrite(network, steps, options.data));
  TRY(const std::string bytes, export_onnx_bytes(result.network));
  // The plan is for the file as it will be read.
  auto read_back = import_onnx_bytes(bytes, output);
  EMULSION_CHECK(read_back.ok());
  const Plan plan_after = rewritten_plan(plan, simplify(network), simplify(*read_back));
  TRY_OK(write_file(output, bytes));
  TRY_OK(write_file(plan_output, to_json(plan_after)));

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
  app.add_option("--data", options->data,
                 "Images, float32 [N, C, H, W] as the network expects them, that set the "
                 "statistics of batch "
                 "norms behind rewritten convs")
      ->type_name("IMAGES.npy");
  app.footer(
      "Weights are inherited: slices for groups, a truncated SVD for bottlenecks. Fine-tune T.onnx "
      "in your\n"
      "framework, export it, then `emulsion compile --plan T.plan.json`.\n"
      "Example:\n  emulsion transform resnet18.onnx --plan out/plans/2x.json --data images.npy -o "
      "small.onnx");
  return [options] { return transform(*options); };
}

}  // namespace emulsion
