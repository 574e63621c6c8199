// emulsion bench: how fast a compiled network is on this machine, next to what the machine can do.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "cli/operands.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "compile/loaded_network.h"
#include "compile/prepare.h"
#include "kernels/time_kernel.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct BenchOptions : CommonOptions {
  std::string plan;
  int threads = 1;
  double seconds = 3;
  bool layers = false;
};

struct LayerTime {
  std::string name, op, shape, algorithm, schedule;
  double gflop = 0;
  KernelTime time;           // the kernel alone
  double in_network_ms = 0;  // the least, among the other layers
  double percent_of_peak = 0;
  double percent_of_fmas = 0;  // of those right after it (KernelTime::fma_gflop); 0: not measured
};

struct Measurement {
  NetworkTime time;
  double gflop = 0, peak_gflops = 0;
  double one_thread_peak_gflops = 0;  // when there are more threads than one
  int threads = 1;
  std::vector<LayerTime> layers;

  double gflops() const { return gflop / (time.min_ms * 1e-3); }
};

// A multiply-add is 2.
double gflop_of(int64_t multiplies) {
  return 2e-9 * static_cast<double>(multiplies);
}

// "16x112x112 -> 96x112x112 k1x1 s1x1 g1 -> 96x56x56 k3x3 s2x2 g96"
std::string shape_of_chain(const ConvChain& chain, const Shape& input) {
  const auto shapes = chain_shapes(chain, input);
  EMULSION_CHECK(shapes.ok());
  std::string text = fmt::format("{}x{}x{}", input[1], input[2], input[3]);
  for (size_t i = 0; i < chain.convs.size(); ++i) {
    const Conv& conv = chain.convs[i];
    const Shape &output = (*shapes)[i], &kernel = conv.weight->shape;
    text += fmt::format(" -> {}x{}x{} k{}x{} s{}x{} g{}", output[1], output[2], output[3],
                        kernel[2], kernel[3], conv.stride[0], conv.stride[1], conv.groups);
  }
  return text;
}

std::string shape_of(const Network& network, int layer) {
  if (std::holds_alternative<Conv>(network.layers[layer].op)) return shape_hint(network, layer);
  if (const auto* chain = std::get_if<ConvChain>(&network.layers[layer].op))
    return shape_of_chain(*chain, network.shape(network.layers[layer].inputs[0]));
  return to_text(network.shape(network.layers[layer].output));
}

Result<std::vector<LayerTime>> time_layers(const PreparedNetwork& prepared, KernelCache& cache,
                                           const LoadedNetwork& loaded, const NetworkTime& whole,
                                           const BenchOptions& options) {
  const Network& network = prepared.laid_out.network;
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) specs.push_back(call.spec);
  const std::vector<KernelUse>& calls = loaded.compiled().kernels;
  TimingOptions timing;
  timing.threads = options.threads;
  timing.with_fmas = options.json && options.threads == 1;  // only the JSON tells them
  Progress bar("timing kernels");
  const auto times = time_kernels(cache, specs, timing, [&](int done, int total) {
    bar.update(done, fmt::format("of {}", total));
  });
  std::vector<LayerTime> layers;
  for (size_t i = 0; i < specs.size(); ++i) {
    if (!times[i].ok()) return times[i].error();
    const Layer& layer = network.layers[prepared.calls[i].layer];
    LayerTime row{layer.name,
                  op_name(layer.op),
                  shape_of(network, prepared.calls[i].layer),
                  specs[i].algorithm,
                  specs[i].schedule,
                  gflop_of(multiplies(layer.op, network.shape(layer.output))),
                  *times[i]};
    // The library calls the same kernels in the same order.
    EMULSION_CHECK(i < calls.size() && calls[i].kernel == kernel_name(specs[i]));
    if (i < whole.layer_min_ms.size()) row.in_network_ms = whole.layer_min_ms[i];
    layers.push_back(std::move(row));
  }
  return layers;
}

Result<Measurement> measure(const BenchOptions& options) {
  TRY(const Network network, load_network(options));
  TRY(const Plan plan, load_plan(options.plan, network));
  CompileOptions compile;
  compile.name = c_identifier(network.name);
  compile.threads = options.threads;
  TRY(compile.target, resolve_target(options.target));
  TRY_OK(check_runs_here(compile.target));
  TRY(const PreparedNetwork prepared, prepare(network, plan, compile.target, compile.threads));
  TRY_OK(check_cache(options));
  KernelCache cache = kernel_cache(options);
  TRY(LoadedNetwork loaded, LoadedNetwork::load(network, plan, cache, compile));

  Measurement result;
  result.threads = options.threads;
  result.gflop = gflop_of(multiplies(prepared.laid_out.network));
  // The peak before and after: clocks change while a program runs.
  TRY(const double before, measured_peak_gflops(cache, compile.target, options.threads));
  TRY(result.time, loaded.time(options.seconds));
  TRY(const double after, measured_peak_gflops(cache, compile.target, options.threads));
  result.peak_gflops = std::max(before, after);
  if (options.threads > 1) {
    TRY(result.one_thread_peak_gflops, measured_peak_gflops(cache, compile.target));
  }
  if (options.layers) {
    TRY(const NetworkTime by_layer, loaded.time(options.seconds / 3, true));
    TRY(result.layers, time_layers(prepared, cache, loaded, by_layer, options));
    for (LayerTime& layer : result.layers) {
      const double peak = layer.time.peak_gflops > 0 ? layer.time.peak_gflops : result.peak_gflops;
      layer.percent_of_peak = 100 * layer.gflop / (layer.time.min_ms * 1e-3) / peak;
      if (layer.time.fma_gflop > 0)
        layer.percent_of_fmas = 100 * layer.gflop / layer.time.fma_gflop;
    }
  }
  return result;
}

void print_json(const Measurement& m) {
  nlohmann::json json = {
      {"min_ms", m.time.min_ms}, {"median_ms", m.time.median_ms}, {"gflop", m.gflop},
      {"gflops", m.gflops()},    {"peak_gflops", m.peak_gflops},  {"threads", m.threads}};
  for (const LayerTime& layer : m.layers) {
    json["layers"].push_back({{"name", layer.name},
                              {"op", layer.op},
                              {"shape", layer.shape},
                              {"algorithm", layer.algorithm},
                              {"schedule", layer.schedule},
                              {"gflop", layer.gflop},
                              {"min_ms", layer.time.min_ms},
                              {"median_ms", layer.time.median_ms},
                              {"cold_min_ms", layer.time.cold_min_ms},
                              {"cold_median_ms", layer.time.cold_median_ms},
                              {"in_network_min_ms", layer.in_network_ms},
                              {"percent_of_peak", layer.percent_of_peak}});
    if (layer.time.peak_gflops > 0) {
      json["layers"].back()["peak_gflops"] = layer.time.peak_gflops;
      json["layers"].back()["percent_of_fmas"] = layer.percent_of_fmas;
    }
  }
  fmt::print("{}\n", json.dump(2));
}

void print_text(const Measurement& m, const std::string& model) {
  if (!m.layers.empty()) {
    size_t name = 5, shape = 5;
    for (const LayerTime& layer : m.layers) {
      name = std::max(name, layer.name.size());
      shape = std::max(shape, layer.shape.size());
    }
    fmt::print("{:<{}}  {:<12} {:<{}}  {:>7} {:>9} {:>9} {:>6} {:>9} {:>10}  {}\n", "layer", name,
               "op", "shape", shape, "gflop", "min ms", "median", "% peak", "cold ms", "in network",
               "algorithm, schedule");
    for (const LayerTime& layer : m.layers) {
      fmt::print(
          "{:<{}}  {:<12} {:<{}}  {:>7.4f} {:>9.4f} {:>9.4f} {:>6.1f} {:>9.4f} {:>10.4f}  {}{}{}\n",
          layer.name, name, layer.op, layer.shape, shape, layer.gflop, layer.time.min_ms,
          layer.time.median_ms, layer.percent_of_peak, layer.time.cold_min_ms, layer.in_network_ms,
          layer.algorithm, layer.schedule.empty() ? "" : ": ", layer.schedule);
    }
    fmt::print("\n");
  }
  fmt::print("{}: min {:.4f} ms, median {:.4f} ms in {} calls on {} thread{}\n", model,
             m.time.min_ms, m.time.median_ms, m.time.calls, m.threads, m.threads == 1 ? "" : "s");
  fmt::print("{:.4f} gflop at {:.1f} GFLOP/s: {:.1f} % of this machine's measured peak of {:.1f}\n",
             m.gflop, m.gflops(), 100 * m.gflops() / m.peak_gflops, m.peak_gflops);
  if (m.threads > 1) {
    // Figures of many threads mean something only where the machine has as many real cores.
    fmt::print("In registers alone the {} threads reach {:.2f} times one thread's peak.\n",
               m.threads, m.peak_gflops / m.one_thread_peak_gflops);
  }
}

Status bench_network(const BenchOptions& options) {
  TRY(const Measurement measurement, measure(options));
  if (options.json) {
    print_json(measurement);
  } else {
    print_text(measurement, options.model);
  }
  return ok();
}

}  // namespace

std::function<Status()> define_bench(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  add_model_argument(app, *options);
  app.add_option("--plan", options->plan, "How to compute it; without one, the defaults")
      ->type_name("P.json");
  app.add_option("--threads", options->threads, "Threads; the peak is measured on as many")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  app.add_option("--seconds", options->seconds, "How long to measure")
      ->check(number_between(0.01, 3600))
      ->capture_default_str();
  app.add_flag("--layers", options->layers,
               "Time every layer too: its kernel alone with warm and with cold weights and input, "
               "and among the others");
  app.add_flag("--json", options->json, "Print JSON");
  add_target_option(app, *options);
  add_cache_options(app, *options);
  app.footer(
      "Example:\n  emulsion bench resnet18.onnx --layers\n"
      "gflop counts a multiply-add as 2, taps on padding included. The peak is that of f32 "
      "multiply-adds in registers, measured in the same run.");
  return [options] { return bench_network(*options); };
}

}  // namespace emulsion
