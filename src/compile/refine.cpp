#include "compile/refine.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <optional>

#include "autoschedule/records.h"
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
    if (call.convs.empty()) continue;
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

// Alternatives of a conv worth measuring, the kernel itself first: of each algorithm that is
// expected to come near the best one, the schedules that are expected to be fastest.
std::vector<KernelSpec> alternatives(const KernelSpec& spec) {
  constexpr double k_near = 2;
  constexpr size_t k_most_of_best = 10, k_most_of_others = 5;
  struct Candidate {
    const Algorithm* algorithm;
    double cycles;
  };
  std::vector<Candidate> candidates;
  for (const Algorithm& algorithm : algorithms()) {
    std::string reason;
    if (algorithm.error_bound > k_default_error || !algorithm.applies(spec, &reason)) continue;
    candidates.push_back({&algorithm, algorithm.best_guess(spec).cycles});
  }
  std::stable_sort(candidates.begin(), candidates.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cycles < b.cycles; });
  std::vector<KernelSpec> result = {spec};
  for (const Candidate& candidate : candidates) {
    const bool best = candidate.algorithm == candidates.front().algorithm;
    if (!best && candidate.cycles > k_near * candidates.front().cycles) break;
    std::vector<std::string> schedules = candidate.algorithm->schedules(spec);
    schedules.resize(std::min(schedules.size(), best ? k_most_of_best : k_most_of_others));
    for (const std::string& schedule : schedules) {
      if (candidate.algorithm->name == spec.algorithm && schedule == spec.schedule) continue;
      result.push_back(spec);
      result.back().algorithm = candidate.algorithm->name;
      result.back().schedule = schedule;
    }
  }
  return result;
}

class Measurer {
 public:
  Measurer(KernelCache& cache, const RefineOptions& options, std::optional<Records> records)
      : cache_(cache), records_(std::move(records)), seconds_(options.seconds) {
    timing_.threads = options.threads;
    timing_.seconds = 0.2;
  }

  bool over() const {
    using Seconds = std::chrono::duration<double>;
    return interrupted() || Seconds(Clock::now() - start_).count() > seconds_;
  }

  // The fastest of a kernel's alternatives that there was time for; the kernel itself when another
  // is not clearly faster.
  Result<KernelSpec> fastest(const KernelSpec& spec) {
    constexpr size_t k_at_once = 4;
    constexpr double k_clearly = 0.98;
    const std::vector<KernelSpec> candidates = alternatives(spec);
    const KernelSpec* best = &candidates.front();
    double own_ms = 0, best_ms = 0;
    for (size_t first = 0; first < candidates.size() && !over(); first += k_at_once) {
      const size_t last = std::min(candidates.size(), first + k_at_once);
      TRY(const auto times, times_of({candidates.begin() + first, candidates.begin() + last}));
      for (size_t i = first; i < last; ++i) {
        const double ms = times[i - first];
        if (i == 0) own_ms = ms;
        if (ms > 0 && (best_ms == 0 || ms < best_ms)) {
          best = &candidates[i];
          best_ms = ms;
        }
      }
    }
    return own_ms > 0 && best_ms > k_clearly * own_ms ? candidates.front() : *best;
  }

 private:
  using Clock = std::chrono::steady_clock;

  // Milliseconds with cold caches, from the records or measured; 0 where a kernel fails.
  Result<std::vector<double>> times_of(const std::vector<KernelSpec>& specs) {
    std::vector<double> result(specs.size(), 0);
    std::vector<KernelSpec> unknown;
    std::vector<size_t> places;
    const auto objects = cache_.compile(specs);
    for (size_t i = 0; i < specs.size(); ++i) {
      const auto known =
          records_ ? records_->kernel(kernel_name(specs[i])) : std::optional<KernelTime>();
      if (known) {
        result[i] = known->cold_min_ms;
      } else if (objects[i].ok()) {
        unknown.push_back(specs[i]);
        places.push_back(i);
      }
    }
    const auto times = time_kernels(cache_, unknown, timing_);
    for (size_t i = 0; i < times.size(); ++i) {
      if (!times[i].ok()) continue;
      result[places[i]] = times[i]->cold_min_ms;
      if (records_) TRY_OK(records_->add(kernel_name(unknown[i]), *times[i]));
    }
    return result;
  }

  KernelCache& cache_;
  std::optional<Records> records_;
  TimingOptions timing_;
  double seconds_;
  Clock::time_point start_ = Clock::now();
};

}  // namespace

Result<Plan> refine(const Network& network, const Plan& plan, KernelCache& cache,
                    const RefineOptions& options) {
  TRY(const std::string target, resolve_target(options.target));
  TRY(PreparedNetwork prepared, prepare(network, plan, target, options.threads));
  std::optional<Records> records;
  if (!options.records.empty()) {
    TRY(records, Records::open(options.records, options.threads));
  }
  Measurer measurer(cache, options, std::move(records));
  const std::vector<Group> groups = conv_groups(prepared);
  Progress bar("measuring alternatives", static_cast<int64_t>(groups.size()));
  for (size_t i = 0; i < groups.size() && !measurer.over(); ++i) {
    bar.update(static_cast<int64_t>(i));
    TRY(const KernelSpec best, measurer.fastest(groups[i].spec));
    for (const size_t call : groups[i].calls) prepared.calls[call].spec = best;
  }
  return explicit_plan(prepared, target, options.threads);
}

}  // namespace emulsion
