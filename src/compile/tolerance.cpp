#include "compile/tolerance.h"

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "base/random.h"
#include "compile/half_weights.h"
#include "kernels/loaded_kernel.h"
#include "lower/algorithm.h"

namespace emulsion {
namespace {

constexpr int k_noise_runs = 3;
constexpr int64_t k_most_images = 16;

Tensor noise(const Shape& shape, const RandomStream& random) {
  Tensor tensor(shape);
  for (size_t i = 0; i < tensor.data.size(); ++i)
    tensor.data[i] = static_cast<float>(random.normal(i));
  return tensor;
}

// Runs one kernel alone on buffers laid out as it wants them.
Result<Tensor> run_kernel(KernelCache& cache, const KernelSpec& spec,
                          const std::vector<Tensor>& inputs) {
  TRY(const LoadedKernel kernel, LoadedKernel::load(cache, spec));
  std::vector<KernelBuffer> buffers;
  std::vector<const float*> arguments, packed;
  for (size_t i = 0; i < inputs.size(); ++i) {
    buffers.emplace_back(spec.inputs[i]).set(inputs[i]);
    arguments.push_back(buffers.back().origin());
  }
  for (const PackedConstant& constant : pack_constants(spec, spec.op)) {
    buffers.push_back(stored_constant(constant));
    packed.push_back(buffers.back().origin());
  }
  KernelBuffer output(spec.output);
  TRY_OK(kernel.run(arguments, packed, output.origin()));
  return output.get();
}

void set_risky(PreparedNetwork& prepared, const std::vector<RiskyChoice>& choices,
               const std::vector<bool>& kept) {
  for (size_t i = 0; i < choices.size(); ++i)
    prepared.calls[choices[i].call].spec = kept[i] ? choices[i].risky : choices[i].safe;
}

// Choices by what they risk for what they win, the worst first.
std::vector<size_t> by_risk(const std::vector<RiskyChoice>& choices) {
  std::vector<size_t> order(choices.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  const auto risk = [&](size_t i) { return choices[i].error / std::max(choices[i].gain, 1e-12); };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return risk(a) > risk(b); });
  return order;
}

double sum_of_squares(const std::vector<RiskyChoice>& choices, const std::vector<bool>& kept) {
  double sum = 0;
  for (size_t i = 0; i < choices.size(); ++i)
    if (kept[i]) sum += choices[i].error * choices[i].error;
  return sum;
}

}  // namespace

CheckData seeded_check_data(const Network& network, uint64_t seed) {
  CheckData data;
  for (int run = 0; run < k_noise_runs; ++run) {
    std::vector<Tensor>& inputs = data.runs.emplace_back();
    for (size_t i = 0; i < network.inputs.size(); ++i)
      inputs.push_back(
          noise(network.shape(network.inputs[i]), RandomStream(seed + run, "input", i)));
  }
  data.from = "seeded noise";
  return data;
}

Result<CheckData> check_data_of(const Network& network, const Tensor& images,
                                const std::string& file) {
  if (network.inputs.size() != 1)
    return error("{}: images are for networks of one input, {} has {}", file, network.name,
                 network.inputs.size());
  const Shape& wanted = network.shape(network.inputs[0]);
  Shape one = images.shape, given = wanted;
  if (one.size() == wanted.size() && !one.empty()) one[0] = given[0] = 1;
  if (one != given || images.shape[0] < wanted[0])
    return error("{}: its shape is {}, the network takes {}; the first number may be larger", file,
                 to_text(images.shape), to_text(wanted));
  for (const float x : images.data)
    if (!std::isfinite(x)) return error("{}: it holds {}; every element must be finite", file, x);
  CheckData data;
  const int64_t count = element_count(wanted);
  const int64_t runs =
      std::min(images.shape[0] / wanted[0], std::max<int64_t>(1, k_most_images / wanted[0]));
  for (int64_t run = 0; run < runs; ++run) {
    const auto begin = images.data.begin() + run * count;
    data.runs.push_back({Tensor(wanted, std::vector<float>(begin, begin + count))});
  }
  data.from =
      fmt::format("{} image{} of {}", runs * wanted[0], runs * wanted[0] == 1 ? "" : "s", file);
  return data;
}

bool is_risky(const KernelSpec& spec) {
  return error_bound(spec) > k_default_error;
}

Result<ToleranceCheck> ToleranceCheck::make(const Network& network, const Plan& safe,
                                            KernelCache& cache, const CompileOptions& options,
                                            CheckData data, double tolerance) {
  ToleranceCheck check;
  check.data_ = data.runs.empty() ? seeded_check_data(network) : std::move(data);
  check.tolerance_ = tolerance;
  TRY(LoadedNetwork loaded, LoadedNetwork::load(network, safe, cache, options));
  for (const std::vector<Tensor>& inputs : check.data_.runs) {
    TRY(check.expected_.emplace_back(), loaded.run(inputs));
  }
  return check;
}

Result<double> ToleranceCheck::difference(LoadedNetwork& loaded) const {
  double worst = 0;
  for (size_t run = 0; run < data_.runs.size(); ++run) {
    TRY(const std::vector<Tensor> got, loaded.run(data_.runs[run]));
    for (size_t i = 0; i < got.size(); ++i)
      worst = std::max(worst, relative_to_largest(got[i], expected_[run][i]));
  }
  return worst;
}

Result<double> kernel_difference(KernelCache& cache, const KernelSpec& safe,
                                 const KernelSpec& risky) {
  std::vector<Tensor> inputs;
  for (const TensorDescriptor& d : safe.inputs)
    inputs.push_back(noise(d.shape, RandomStream(0, "kernel difference", inputs.size())));
  TRY(const Tensor expected, run_kernel(cache, safe, inputs));
  TRY(const Tensor got, run_kernel(cache, risky, inputs));
  return relative_to_largest(got, expected);
}

Result<ToleranceReport> keep_within_tolerance(const Network& network, PreparedNetwork& prepared,
                                              const std::vector<RiskyChoice>& choices,
                                              KernelCache& cache, const CompileOptions& options,
                                              const ToleranceCheck& check) {
  ToleranceReport report;
  report.tolerance = check.tolerance();
  report.data = check.data();
  std::vector<bool> kept(choices.size(), true);
  const std::vector<size_t> order = by_risk(choices);
  size_t next = 0;  // in order: those before it are taken back
  Progress bar("checking the tolerance");
  for (int round = 1; next < order.size(); ++round) {
    set_risky(prepared, choices, kept);
    const Plan plan = explicit_plan(prepared, options.target, options.threads);
    TRY(LoadedNetwork loaded, LoadedNetwork::load(network, plan, cache, options));
    TRY(report.difference, check.difference(loaded));
    bar.update(round, fmt::format("difference {:.1e}", report.difference));
    if (check.holds(report.difference)) break;
    // Errors of layers are independent: their squares add up. What is taken back is what should
    // bring the sum down to the tolerance's, one choice at least.
    const double ratio = check.tolerance() / report.difference;
    const double wanted = ratio * ratio * sum_of_squares(choices, kept);
    do {
      kept[order[next++]] = false;
    } while (next < order.size() && sum_of_squares(choices, kept) > wanted);
  }
  if (next == order.size()) report.difference = 0;
  set_risky(prepared, choices, kept);
  report.taken_back = static_cast<int>(next);
  describe_risks(prepared, report);
  return report;
}

void describe_risks(const PreparedNetwork& prepared, ToleranceReport& report) {
  report.inexact_layers.clear();
  report.half_layers.clear();
  report.bytes_saved = 0;
  for (const KernelCall& call : prepared.calls) {
    const Layer& layer = prepared.laid_out.network.layers[call.layer];
    if (find_algorithm(call.spec.algorithm)->error_bound > k_default_error &&
        std::holds_alternative<Conv>(layer.op))
      report.inexact_layers.push_back(layer.name);
    if (call.spec.weights != ElementType::f16) continue;
    report.half_layers.push_back(layer.name);
    report.bytes_saved += 2 * stored_weights(call.spec);
  }
}

}  // namespace emulsion
