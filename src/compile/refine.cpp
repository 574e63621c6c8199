#include "compile/refine.h"

#include <algorithm>
#include <chrono>
#include <map>

#include "base/interrupt.h"
#include "base/progress.h"
#include "compile/prepare.h"
#include "kernels/time_kernel.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

// A distinct kernel and all calls that use it.
struct Group {
  KernelSpec spec;
  std::vector<size_t> calls;
  int64_t multiplies = 0;  // of all calls
};

std::vector<Group> conv_groups(const PreparedNetwork& prepared) {
  std::map<std::string, Group> by_name;
  for (size_t i = 0; i < prepared.calls.size(); ++i) {
    const KernelCall& call = prepared.calls[i];
    if (call.conv < 0) continue;
    Group& group = by_name[kernel_name(call.spec)];
    group.spec = call.spec;
    group.calls.push_back(i);
    group.multiplies += multiplies(call.spec.op, call.spec.output.shape);
  }
  std::vector<Group> groups;
  for (auto& [name, group] : by_name) groups.push_back(std::move(group));
  std::stable_sort(groups.begin(), groups.end(),
                   [](const Group& a, const Group& b) { return a.multiplies > b.multiplies; });
  return groups;
}

// The fastest of a kernel's alternatives; the kernel itself when none can be measured.
KernelSpec fastest(KernelCache& cache, const KernelSpec& spec, const TimingOptions& timing) {
  std::vector<KernelSpec> candidates = {spec};
  for (const std::string& schedule : find_algorithm(spec.algorithm)->schedules(spec)) {
    if (schedule == spec.schedule) continue;
    candidates.push_back(spec);
    candidates.back().schedule = schedule;
  }
  std::vector<KernelSpec> compiled;
  const auto objects = cache.compile(candidates);
  for (size_t i = 0; i < candidates.size(); ++i) {
    if (objects[i].ok()) compiled.push_back(candidates[i]);
  }
  const auto times = time_kernels(cache, compiled, timing);
  const KernelSpec* best = &spec;
  double best_ms = 0;
  for (size_t i = 0; i < compiled.size(); ++i) {
    if (!times[i].ok()) continue;
    if (best_ms == 0 || times[i]->min_ms < best_ms) {
      best = &compiled[i];
      best_ms = times[i]->min_ms;
    }
  }
  return *best;
}

}  // namespace

Result<Plan> refine(const Network& network, const Plan& plan, KernelCache& cache,
                    const RefineOptions& options) {
  using Clock = std::chrono::steady_clock;
  TRY(const std::string target, resolve_target(options.target));
  TRY(PreparedNetwork prepared, prepare(network, plan, target, options.threads));
  const std::vector<Group> groups = conv_groups(prepared);
  TimingOptions timing;
  timing.threads = options.threads;
  timing.seconds = 0.2;
  Progress bar("measuring schedules", static_cast<int64_t>(groups.size()));
  const auto start = Clock::now();
  for (size_t i = 0; i < groups.size(); ++i) {
    bar.update(static_cast<int64_t>(i));
    if (interrupted() ||
        std::chrono::duration<double>(Clock::now() - start).count() > options.seconds)
      break;
    const KernelSpec best = fastest(cache, groups[i].spec, timing);
    for (const size_t call : groups[i].calls) prepared.calls[call].spec = best;
  }
  return explicit_plan(prepared, target, options.threads);
}

}  // namespace emulsion
