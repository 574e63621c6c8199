#include "explore/measurer.h"

#include <algorithm>

#include "base/hash.h"
#include "base/progress.h"
#include "base/random.h"
#include "compile/prepare.h"
#include "compile/time_in_turns.h"
#include "nest/rewrite.h"
#include "simplify/simplify.h"

namespace emulsion {
namespace {

constexpr double k_kernel_seconds = 0.1;  // of measuring, each
constexpr int k_kernels_at_once = 16;     // compiled between two looks at the clock
constexpr int k_same_function_rounds = 3;

// Small random weights in place of those that are missing: times do not depend on them, and
// inheriting them is slow. No two layers have the same, or the library would keep them once.
Network with_noise_weights(Network network) {
  constexpr size_t k_period = 4099;  // a prime, so that no two channels are alike
  std::vector<float> noise;
  const RandomStream random(0, "weights for timing");
  for (size_t i = 0; i < k_period; ++i) {
    noise.push_back(static_cast<float>(random.uniform(i, -0.05, 0.05)));
  }
  size_t phase = 0;
  for (Layer& layer : network.layers) {
    auto* conv = std::get_if<Conv>(&layer.op);
    if (!conv || !conv->weight->abstract()) continue;
    Tensor weight(conv->weight->shape);
    ++phase;
    for (size_t i = 0; i < weight.data.size(); ++i) {
      weight.data[i] = noise[(i + phase) % k_period];
    }
    conv->weight = std::make_shared<Tensor>(std::move(weight));
  }
  return network;
}

}  // namespace

Result<Measurer> Measurer::open(const Problem& problem, KernelCache& cache,
                                const Stopping& stopping) {
  TRY(SpaceKernels kernels,
      space_kernels(problem.bare, problem.space, problem.target, problem.options.threads));
  Measurer measurer(problem, cache, stopping, std::move(kernels));
  const std::filesystem::path& records = problem.options.records;
  TRY(measurer.records_,
      Records::open(records.empty() ? problem.options.output / "records.jsonl" : records,
                    problem.options.threads));
  return measurer;
}

Measurer::Measurer(const Problem& problem, KernelCache& cache, const Stopping& stopping,
                   SpaceKernels kernels)
    : problem_(&problem), cache_(&cache), stopping_(&stopping), times_(std::move(kernels)) {}

Status Measurer::compile(const std::vector<KernelSpec>& specs, const char* title) {
  std::vector<KernelSpec> wanted;
  for (const KernelSpec& spec : specs) {
    if (!records_.kernel(kernel_name(spec))) wanted.push_back(spec);
  }
  const int total = static_cast<int>(wanted.size());
  Progress bar(title, total);
  for (int first = 0; first < total; first += k_kernels_at_once) {
    TRY_OK(stopping_->check("kernels were compiled"));
    const int last = std::min(total, first + k_kernels_at_once);
    // A kernel that fails is met again, and named, where it is timed.
    (void)cache_->compile({wanted.begin() + first, wanted.begin() + last},
                          [&](int done, int) { bar.update(first + done); });
  }
  return stopping_->check("kernels were timed");
}

Status Measurer::time_ways(const std::vector<std::pair<int, KernelSpec>>& ways, const char* title) {
  std::vector<KernelSpec> specs;
  for (const auto& [kernel, way] : ways) specs.push_back(way);
  TRY_OK(compile(specs, fmt::format("compiling {}", title).c_str()));
  TimingOptions timing;
  timing.threads = problem_->options.threads;
  timing.seconds = k_kernel_seconds;
  Progress bar(fmt::format("timing {}", title), static_cast<int64_t>(ways.size()));
  int done = 0;
  for (const auto& [kernel, way] : ways) {
    TRY_OK(stopping_->check("kernels were timed"));
    const std::string name = kernel_name(way);
    std::optional<KernelTime> time = records_.kernel(name);
    if (!time) {
      // One at a time, so that each is on disk before the next begins.
      auto timed = time_kernels_of(way, timing);
      if (timed.ok()) {
        time = *timed;
        TRY_OK(records_.add(name, *time));
      } else if (timed.error().code == ExitCode::interrupted) {
        return stopping_->check("kernels were timed");
      } else {
        failures_.emplace(kernel, timed.error());
      }
    }
    if (time) times_.add(kernel, way, *time);
    bar.update(++done);
  }
  return ok();
}

Result<KernelTime> Measurer::time_kernels_of(const KernelSpec& way, const TimingOptions& timing) {
  return emulsion::time_kernels(*cache_, {way}, timing)[0];
}

Status Measurer::time_kernels() {
  std::vector<std::pair<int, KernelSpec>> ways;
  const SpaceKernels& kernels = times_.kernels();
  for (int kernel = 0; kernel < static_cast<int>(kernels.specs.size()); ++kernel) {
    const KernelSpec& spec = kernels.specs[kernel];
    const int most = std::min(problem_->options.ways, 1 + rival_algorithms(spec));
    for (KernelSpec& way : alternatives(spec, most)) ways.emplace_back(kernel, std::move(way));
  }
  TRY_OK(time_ways(ways, "kernels"));
  for (const int kernel : kernels.original) {
    if (times_.best(kernel)) continue;
    const auto found = failures_.find(kernel);
    EMULSION_CHECK(found != failures_.end());
    return found->second.in("a layer of the original cannot be timed");
  }
  return ok();
}

Result<bool> Measurer::time_more_ways(const Configuration& configuration) {
  const SpaceKernels& kernels = times_.kernels();
  std::set<int> used(kernels.original.begin(), kernels.original.end());
  for (size_t s = 0; s < configuration.size(); ++s) {
    const std::vector<int>& added = kernels.slots[s][configuration[s]].added;
    used.insert(added.begin(), added.end());
  }
  std::vector<std::pair<int, KernelSpec>> ways;
  for (const int kernel : used) {
    if (!widened_.insert(kernel).second) continue;
    for (KernelSpec& way : alternatives(kernels.specs[kernel], problem_->options.ways)) {
      ways.emplace_back(kernel, std::move(way));
    }
  }
  if (ways.empty()) return false;
  TRY_OK(time_ways(ways, "more ways to compute kernels"));
  return true;
}

Result<Plan> Measurer::plan(const Configuration& configuration) const {
  TRY(PreparedNetwork prepared, prepare(problem_->bare, rewriting_plan(*problem_, configuration),
                                        problem_->target, problem_->options.threads));
  for (KernelCall& call : prepared.calls) {
    if (const auto best = times_.best(kernel_name(call.spec))) call.spec = *best;
  }
  Plan plan = explicit_plan(prepared, problem_->target, problem_->options.threads);
  EMULSION_CHECK(plan.network == problem_->structure);
  return plan;
}

CompileOptions Measurer::compile_options() const {
  CompileOptions compile;
  compile.name = "explored";
  compile.target = problem_->target;
  compile.threads = problem_->options.threads;
  return compile;
}

Result<LoadedNetwork> Measurer::load(const Configuration& configuration, const Plan& plan) const {
  const auto changes = rewrites(problem_->space, configuration);
  TRY(const Network changed, apply_rewrites(problem_->bare, changes));
  const Network filled = with_noise_weights(simplify(changed));
  const Plan its_plan = rewritten_plan(plan, problem_->bare, simplify(filled));
  return LoadedNetwork::load(filled, its_plan, *cache_, compile_options());
}

Result<LoadedNetwork*> Measurer::original(const Plan& plan) {
  const std::string key = to_json(plan);
  auto found = originals_.find(key);
  if (found == originals_.end()) {
    TRY(LoadedNetwork loaded,
        LoadedNetwork::load(problem_->network, plan, *cache_, compile_options()));
    found = originals_.emplace(key, std::move(loaded)).first;
  }
  return &found->second;
}

Result<NetworkRecord> Measurer::time(const Configuration& configuration, const Plan& plan,
                                     const Plan& beside) {
  const std::string key = network_key(beside, plan);
  std::optional<NetworkRecord> record = records_.network(key);
  if (!record) {
    TRY(LoadedNetwork* const before, original(beside));
    TRY(LoadedNetwork after, load(configuration, plan));
    TRY(record, time_in_turns(*before, after));
    TRY_OK(records_.add(key, *record));
  }
  if (seen_networks_.insert(key).second) times_.add(*record);
  return *record;
}

Status Measurer::find_same_function() {
  const Configuration same(problem_->space.slots.size(), 0);
  Progress bar("measuring the same function", k_same_function_rounds);
  const Plan by_default;
  double best_ratio = 0;
  std::set<std::string> tried;
  for (int round = 0; round < k_same_function_rounds; ++round) {
    TRY_OK(stopping_->check("the original was measured"));
    TRY(const Plan plan, this->plan(same));
    if (!tried.insert(to_json(plan)).second) break;
    TRY(const NetworkRecord record, time(same, plan, by_default));
    const double ratio = record.original_min_ms / record.min_ms;
    if (ratio > best_ratio) {
      best_ratio = ratio;
      same_function_ = plan;
      same_function_time_ = record;
    }
    bar.update(round + 1);
  }
  return ok();
}

Result<NetworkRecord> Measurer::time_network(const Configuration& configuration) {
  TRY(const Plan plan, this->plan(configuration));
  return time(configuration, plan, same_function_);
}

Result<std::vector<Tensor>> Measurer::run(const std::vector<Tensor>& inputs) {
  TRY(LoadedNetwork* const network, original({}));
  return network->run(inputs);
}

}  // namespace emulsion
