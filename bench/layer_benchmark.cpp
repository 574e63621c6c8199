// Google Benchmark over the convolutions of a network: for each of its conv kernels
//   LAYER/warm       called again and again
//   LAYER/cold       weights and input evicted from the caches before each call
//   LAYER/then_fmas  warm, register-only FMAs right after each call (one thread, x86-64)
// with the rates that follow from times and from the peaks measured beside them. Without others
// given, a repetition is one call (several of very short ones), and as many are made as fit into
// --seconds: min and median over repetitions are those over calls.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "cli/operands.h"
#include "cli/processor.h"
#include "cli/verb.h"
#include "compile/prepare.h"
#include "kernels/fma_loop.h"
#include "kernels/peak.h"
#include "kernels/seeded_kernel.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct Options : CommonOptions {
  std::string plan;
  int threads = 1;
  double seconds = 0.3;
};

// Which of Google Benchmark's options are given: the others we choose for each benchmark.
struct GivenFlags {
  bool repetitions = false, min_time = false, aggregates_only = false;
  bool file = false, file_format = false;
};

GivenFlags given_flags(int argc, char** argv) {
  const auto given = [&](const std::string& name) {
    return std::any_of(argv + 1, argv + argc, [&](const std::string& argument) {
      return argument == name || argument.starts_with(name + "=");
    });
  };
  return {given("--benchmark_repetitions"), given("--benchmark_min_time"),
          given("--benchmark_report_aggregates_only"), given("--benchmark_out"),
          given("--benchmark_out_format")};
}

struct TimedLayer {
  std::string name;
  std::string label;  // algorithm and schedule
  double gflop = 0;   // a multiply-add is 2
  SeededKernel kernel;
};

// The peak in GFLOP/s right before and after a benchmark's repetitions; 0: not measured (yet).
struct Peaks {
  double before = 0, after = 0;
};

// What all benchmarks share.
struct Suite {
  int threads = 1;
  std::optional<FmaLoop> fmas;     // where there is one for the target
  std::vector<TimedLayer> layers;  // not changed once benchmarks refer to them
  std::map<std::string, std::pair<const TimedLayer*, Peaks>> rated;  // by the benchmark's name

  double peak() const {
    constexpr int k_runs = 20;
    return fmas ? best_gflops(*fmas, threads, k_runs) : 0;
  }
};

// Adds rates to what another reporter writes.
class RateReporter : public benchmark::BenchmarkReporter {
 public:
  RateReporter(benchmark::BenchmarkReporter& writer, Suite& suite)
      : writer_(writer), suite_(suite) {}

  bool ReportContext(const Context& context) override {
    writer_.SetOutputStream(&GetOutputStream());
    writer_.SetErrorStream(&GetErrorStream());
    return writer_.ReportContext(context);
  }

  // Called as soon as a benchmark's repetitions are done.
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<Run> rated = runs;
    for (Run& run : rated) {
      add_rates(run);
      // Names stay the same however often a layer is called.
      run.run_name.min_time.clear();
      run.run_name.repetitions.clear();
      run.run_name.time_type.clear();
    }
    writer_.ReportRuns(rated);
  }

  void Finalize() override { writer_.Finalize(); }

 private:
  // Rates of statistics that are times of a call; not of a deviation.
  void add_rates(Run& run) {
    static const std::set<std::string> k_times = {"", "min", "median", "mean"};
    const auto at = suite_.rated.find(run.run_name.function_name);
    if (at == suite_.rated.end() || k_times.count(run.aggregate_name) == 0) return;
    auto& [layer, peaks] = at->second;
    const double milliseconds =
        1e3 * run.GetAdjustedRealTime() / benchmark::GetTimeUnitMultiplier(run.time_unit);
    const double gflops = layer->gflop / (milliseconds * 1e-3);
    run.counters["gflop"] = layer->gflop;
    run.counters["gflops"] = gflops;
    if (peaks.before == 0) return;
    if (peaks.after == 0) peaks.after = suite_.peak();
    run.counters["peak_before_gflops"] = peaks.before;
    run.counters["peak_after_gflops"] = peaks.after;
    run.counters["percent_of_peak"] = 100 * gflops / std::max(peaks.before, peaks.after);
  }

  benchmark::BenchmarkReporter& writer_;
  Suite& suite_;
};

void finish(benchmark::State& state, const TimedLayer& layer, int code) {
  state.SetLabel(layer.label);
  if (code != 0) state.SkipWithError("the kernel failed");
}

void time_warm(benchmark::State& state, const TimedLayer& layer) {
  int code = layer.kernel.call();  // what runs between repetitions leaves the caches
  for (auto _ : state) {
    const Stopwatch stopwatch;
    code |= layer.kernel.call();
    state.SetIterationTime(stopwatch.seconds());
  }
  finish(state, layer, code);
}

void time_cold(benchmark::State& state, const TimedLayer& layer) {
  int code = 0;
  for (auto _ : state) {
    layer.kernel.evict();
    const Stopwatch stopwatch;
    code |= layer.kernel.call();
    state.SetIterationTime(stopwatch.seconds());
  }
  finish(state, layer, code);
}

// Counts the layer's work in percent of what FMAs do in the time of a call, right after it.
void time_then_fmas(benchmark::State& state, const TimedLayer& layer, const FmaLoop& fmas,
                    long iterations) {
  int code = 0;
  double percent = 0;
  for (auto _ : state) {
    const CallThenFmas timed =
        call_then_fmas(fmas, iterations, [&] { code |= layer.kernel.call(); });
    state.SetIterationTime(timed.call_seconds);
    percent += 100 * layer.gflop / (timed.fma_gflops * timed.call_seconds);
  }
  state.counters["percent_of_fmas"] =
      benchmark::Counter(percent, benchmark::Counter::kAvgIterations);
  finish(state, layer, code);
}

// Of one call, after the first ones, which pay for page faults, thread starts and the clock's ramp.
template <class Call>
double seconds_of(double seconds, const Call& call) {
  call();
  int calls = 0;
  const Stopwatch stopwatch;
  do {
    call();
    ++calls;
  } while (stopwatch.seconds() < seconds);
  return stopwatch.seconds() / calls;
}

// seconds: of all repetitions together, each of which takes that long.
void choose_repetitions(benchmark::internal::Benchmark& benchmark, double seconds,
                        double repetition_seconds, const GivenFlags& given) {
  // Calls shorter than this are timed together: the clock takes a part of a microsecond.
  constexpr double k_shortest_seconds = 1e-5;
  constexpr double k_most = 10000;
  const double each = std::max(repetition_seconds, k_shortest_seconds);
  if (!given.repetitions)
    benchmark.Repetitions(static_cast<int>(std::clamp(seconds / each, 3.0, k_most)));
  if (!given.min_time) benchmark.MinTime(k_shortest_seconds);
  if (!given.aggregates_only) benchmark.ReportAggregatesOnly(true);
  benchmark.UseManualTime()->Unit(benchmark::kMillisecond);
  benchmark.ComputeStatistics("min", [](const std::vector<double>& values) {
    return *std::min_element(values.begin(), values.end());
  });
}

template <class Time>
void add_rated(Suite& suite, const TimedLayer& layer, const char* kind, double seconds,
               double repetition_seconds, const GivenFlags& given, const Time& time) {
  const std::string name = layer.name + "/" + kind;
  Peaks& peaks = suite.rated.emplace(name, std::pair{&layer, Peaks{}}).first->second.second;
  auto* benchmark = benchmark::RegisterBenchmark(
      name.c_str(), [&suite, &layer, &peaks, time](benchmark::State& state) {
        if (peaks.before == 0) peaks.before = suite.peak();
        time(state, layer);
      });
  choose_repetitions(*benchmark, seconds, repetition_seconds, given);
}

// The shares of the seconds are those of the search's timer (time_kernel_worker.cpp).
void add_benchmarks(Suite& suite, const TimedLayer& layer, double seconds,
                    const GivenFlags& given) {
  const SeededKernel& kernel = layer.kernel;
  const double warm = seconds_of(seconds / 10, [&] { kernel.call(); });
  const double cold = seconds_of(seconds / 30, [&] {
    kernel.evict();
    kernel.call();
  });
  add_rated(suite, layer, "warm", 0.6 * seconds, 2 * warm, given, time_warm);
  add_rated(suite, layer, "cold", 0.3 * seconds, cold, given, time_cold);
  if (!suite.fmas || suite.threads > 1) return;
  const long iterations = suite.fmas->iterations_for(k_fmas_after_seconds);
  auto* benchmark = benchmark::RegisterBenchmark(
      (layer.name + "/then_fmas").c_str(), [&suite, &layer, iterations](benchmark::State& state) {
        time_then_fmas(state, layer, *suite.fmas, iterations);
      });
  choose_repetitions(*benchmark, 0.6 * seconds, 2 * warm + 2 * k_fmas_after_seconds, given);
}

// Compiles and loads the kernels of the network's convs and chains of convs.
Status load_layers(const Options& options, const std::string& target, Suite& suite,
                   KernelCache& cache) {
  TRY(const Network imported, load_network(options));
  TRY(const Plan plan, load_plan(options.plan, imported));
  TRY(const PreparedNetwork prepared, prepare(imported, plan, target, options.threads));
  const Network& network = prepared.laid_out.network;
  std::vector<const KernelCall*> calls;
  std::vector<KernelSpec> specs;
  for (const KernelCall& call : prepared.calls) {
    if (call.convs.empty()) continue;
    calls.push_back(&call);
    specs.push_back(call.spec);
  }
  if (calls.empty()) return error("{}: has no convolution", options.model);
  std::set<std::string> names;
  const std::vector<Result<CompiledKernel>> compiled = cache.compile(specs);
  for (size_t i = 0; i < calls.size(); ++i) {
    if (!compiled[i].ok()) return compiled[i].error();
    TRY(const auto library, cache.shared_library(*compiled[i], target));
    TRY(SeededKernel kernel,
        SeededKernel::load(library, compiled[i]->name, specs[i], options.threads));
    const Layer& layer = network.layers[calls[i]->layer];
    std::string name = layer.name;
    if (name.empty() || !names.insert(name).second) name += fmt::format("#{}", i);
    std::string label = specs[i].algorithm;
    if (!specs[i].schedule.empty()) label += ": " + specs[i].schedule;
    const auto work = multiplies(layer.op, network.shape(layer.output));
    suite.layers.push_back({name, label, 2e-9 * static_cast<double>(work), std::move(kernel)});
  }
  return ok();
}

Status run_benchmarks(const Options& options, const GivenFlags& given) {
  if (given.file_format)
    return error(
        "--benchmark_out_format: the file is JSON; --benchmark_format chooses what is "
        "printed");
  TRY(const std::string target, resolve_target(options.target));
  TRY_OK(check_runs_here(target));
  TRY_OK(check_cache(options));
  KernelCache cache = kernel_cache(options);
  Suite suite;
  suite.threads = options.threads;
  TRY_OK(load_layers(options, target, suite, cache));
  if (const auto library = peak_library(cache, target); library.ok()) {
    TRY(suite.fmas, FmaLoop::open(*library));
  }
  for (const TimedLayer& layer : suite.layers) add_benchmarks(suite, layer, options.seconds, given);

  const std::unique_ptr<benchmark::BenchmarkReporter> printer(
      benchmark::CreateDefaultDisplayReporter());
  benchmark::JSONReporter writer;
  RateReporter printed(*printer, suite), written(writer, suite);
  benchmark::RunSpecifiedBenchmarks(&printed, given.file ? &written : nullptr);
  return ok();
}

void define(CLI::App& app, Options& options) {
  add_model_argument(app, options);
  app.add_option("--plan", options.plan, "How to compute it; without one, the defaults")
      ->type_name("P.json");
  app.add_option("--threads", options.threads, "Threads; the peak is measured on as many")
      ->check(CLI::Range(1, k_most_threads))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds,
                 "Of measuring a layer, without --benchmark_repetitions")
      ->check(number_between(0.001, 3600))
      ->capture_default_str();
  add_target_option(app, options);
  add_cache_options(app, options);
}

constexpr const char* k_sentence =
    "Times the convolutions of a network one by one, with warm and with cold weights and input.";

void print_help() {
  CLI::App app(k_sentence, "layer_benchmark");
  Options options;
  define(app, options);
  fmt::print("{}\n", app.help());
  benchmark::PrintDefaultHelp();
}

}  // namespace
}  // namespace emulsion

int main(int argc, char** argv) {
  // What compiles kernels is this program too.
  if (argc == 3 && std::strcmp(argv[1], "compile-kernel") == 0)
    return emulsion::compile_kernel_worker(argv[2]);
  const emulsion::GivenFlags given = emulsion::given_flags(argc, argv);
  benchmark::Initialize(&argc, argv, emulsion::print_help);
  CLI::App app(emulsion::k_sentence, "layer_benchmark");
  emulsion::Options options;
  emulsion::define(app, options);
  CLI11_PARSE(app, argc, argv);
  const auto status = emulsion::run_benchmarks(options, given);
  benchmark::Shutdown();
  if (status.ok()) return 0;
  fmt::print(stderr, "layer_benchmark: {}\n", status.error().message);
  return static_cast<int>(status.error().code);
}
