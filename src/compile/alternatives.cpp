#include "compile/alternatives.h"

#include <algorithm>

#include "compile/half_weights.h"
#include "compile/tolerance.h"
#include "lower/algorithm.h"

namespace emulsion {
namespace {

constexpr double k_near = 2;
constexpr size_t k_most_of_best = 10, k_most_of_others = 5;

struct Candidate {
  const Algorithm* algorithm;
  KernelSpec spec;  // with the weights' type; its schedule is not filled in
  double cycles;
};

bool same_choice(const KernelSpec& a, const KernelSpec& b) {
  return a.algorithm == b.algorithm && a.schedule == b.schedule && a.weights == b.weights;
}

std::vector<Candidate> candidates_of(const KernelSpec& spec, const AlternativeOptions& options) {
  std::vector<Candidate> candidates;
  std::vector<ElementType> types{ElementType::f32};
  if (options.weights == ElementType::f16 && half_holds(spec.op)) types.push_back(options.weights);
  for (const Algorithm& algorithm : algorithms())
    for (const ElementType type : types) {
      KernelSpec other = spec;
      other.algorithm = algorithm.name;
      other.schedule = "";
      other.weights = type;
      std::string reason;
      if (!options.risky && algorithm.error_bound > k_default_error) continue;
      if (type == ElementType::f16 && !takes_half_weights(other, &reason)) continue;
      if (!algorithm.applies(other, &reason)) continue;
      const double cycles = algorithm.best_guess(other).cycles;
      candidates.push_back({&algorithm, std::move(other), cycles});
    }
  // Where streaming does not bound a layer, converting only costs.
  const auto pays = [&](const Candidate& c) {
    if (c.spec.weights == ElementType::f32) return true;
    return std::none_of(candidates.begin(), candidates.end(), [&](const Candidate& other) {
      return other.algorithm == c.algorithm && other.spec.weights == ElementType::f32 &&
             (other.cycles > 0 ? c.cycles > other.cycles : !streams_weights(c.spec));
    });
  };
  std::vector<Candidate> result;
  for (const Candidate& c : candidates)
    if (pays(c)) result.push_back(c);
  std::stable_sort(result.begin(), result.end(),
                   [](const Candidate& a, const Candidate& b) { return a.cycles < b.cycles; });
  return result;
}

}  // namespace

std::vector<KernelSpec> alternatives(const KernelSpec& spec, const AlternativeOptions& options) {
  const std::vector<Candidate> candidates = candidates_of(spec, options);
  std::vector<KernelSpec> result = {spec};
  // Something that nobody minds is always there to fall back on.
  if (is_risky(spec)) {
    KernelSpec safe = spec;
    safe.algorithm = safe.schedule = "";
    safe.weights = ElementType::f32;
    if (Result<KernelSpec> completed_spec = completed(std::move(safe)); completed_spec.ok())
      result.push_back(*std::move(completed_spec));
  }
  for (const Candidate& candidate : candidates) {
    const bool best = &candidate == &candidates.front();
    if (!best && candidate.cycles > k_near * candidates.front().cycles) break;
    std::vector<std::string> schedules = candidate.algorithm->schedules(candidate.spec);
    schedules.resize(std::min(schedules.size(), best ? k_most_of_best : k_most_of_others));
    for (const std::string& schedule : schedules) {
      KernelSpec other = candidate.spec;
      other.schedule = schedule;
      if (std::none_of(result.begin(), result.end(),
                       [&](const KernelSpec& known) { return same_choice(known, other); }))
        result.push_back(std::move(other));
    }
  }
  return result;
}

}  // namespace emulsion
