#include "compile/alternatives.h"

#include <algorithm>

#include "compile/cost_model.h"
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
  double cycles, roofline_ms, expected_ms;
};

bool same_choice(const KernelSpec& a, const KernelSpec& b) {
  return a.algorithm == b.algorithm && a.schedule == b.schedule && a.weights == b.weights;
}

// The fastest first.
std::vector<Candidate> candidates_of(const KernelSpec& spec, const CostModel& model,
                                     const AlternativeOptions& options) {
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
      const CostedSchedule guess = algorithm.best_guess(other);
      KernelSpec guessed = other;
      guessed.schedule = guess.steps;
      const double roofline_ms = model.roofline_ms(guessed, guess.cycles);
      const double expected_ms = model.expected_ms(guessed, roofline_ms);
      candidates.push_back({&algorithm, std::move(other), guess.cycles, roofline_ms, expected_ms});
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
  std::stable_sort(result.begin(), result.end(), [](const Candidate& a, const Candidate& b) {
    return a.expected_ms < b.expected_ms;
  });
  return result;
}

}  // namespace

std::vector<Alternative> alternatives(const KernelSpec& spec, const CostModel& model,
                                      const AlternativeOptions& options) {
  const std::vector<Candidate> candidates = candidates_of(spec, model, options);
  std::vector<Alternative> result = {{spec}};
  // Something that nobody minds is always there to fall back on.
  if (is_risky(spec)) {
    KernelSpec safe = spec;
    safe.algorithm = safe.schedule = "";
    safe.weights = ElementType::f32;
    if (Result<KernelSpec> completed_spec = completed(std::move(safe)); completed_spec.ok())
      result.push_back({*std::move(completed_spec)});
  }
  for (const Candidate& candidate : candidates) {
    const bool best = &candidate == &candidates.front();
    if (!best && candidate.expected_ms > k_near * candidates.front().expected_ms) break;
    std::vector<std::string> schedules = candidate.algorithm->schedules(candidate.spec);
    schedules.resize(std::min(schedules.size(), best ? k_most_of_best : k_most_of_others));
    for (const std::string& schedule : schedules) {
      KernelSpec other = candidate.spec;
      other.schedule = schedule;
      auto place = std::find_if(result.begin(), result.end(), [&](const Alternative& known) {
        return same_choice(known.spec, other);
      });
      if (place == result.end()) place = result.insert(place, {std::move(other)});
      if (&schedule == &schedules.front()) place->roofline_ms = candidate.roofline_ms;
    }
  }
  return result;
}

}  // namespace emulsion
