#include "legality/verdict.h"

#include <cmath>
#include <numeric>

namespace emulsion {
namespace {

constexpr double k_decisive_sigmas = 3;
constexpr double k_rejecting_errors = 2;

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double deviation_of(const std::vector<double>& values) {
  if (values.size() < 2) return 0;
  const double mean = mean_of(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

// P(a standard normal > z).
double tail(double z) {
  return 0.5 * std::erfc(z / std::sqrt(2.0));
}

// A candidate's own deviation counts where it is larger than the original's.
double candidate_sigma(const Reference& reference, const std::vector<double>& logs) {
  return std::max(reference.sigma(), deviation_of(logs));
}

// Of a candidate's mean over so many seeds against the reference's: both are means.
double standard_error(const Reference& reference, double sigma, size_t seeds) {
  const double a = sigma * sigma / static_cast<double>(seeds);
  const double b =
      reference.sigma() * reference.sigma() / static_cast<double>(reference.log_scores.size());
  return std::sqrt(a + b);
}

// A mean log ratio below it is rejected.
double rejecting_bar(double standard_error) {
  return std::min(k_rejecting_log_ratio, -k_rejecting_errors * standard_error);
}

// Of the mean over all seeds about that over the first so many.
double missing_error(double sigma, size_t seeds) {
  const double done = static_cast<double>(seeds), missing = k_candidate_seeds - done;
  return sigma * std::sqrt(missing / (k_candidate_seeds * done));
}

// Whether the mean over all seeds is above the bar by two deviations of what the missing seeds may
// add to it.
bool surely_legal(const Reference& reference, const Verdict& verdict) {
  const double sigma = candidate_sigma(reference, verdict.log_scores);
  const double bar = rejecting_bar(standard_error(reference, sigma, k_candidate_seeds));
  return verdict.log_ratio - 2 * missing_error(sigma, verdict.log_scores.size()) > bar;
}

Result<Verdict> judge_as_paper(const Reference& reference, const LogScore& score) {
  Verdict verdict{.rule = LegalityRule::paper};
  TRY(const double log_score, score(0));
  verdict.log_scores = {log_score};
  verdict.log_ratio = log_score - reference.log_scores[0];
  verdict.legal = !(verdict.log_ratio < 0);
  // Both scores are single draws.
  verdict.standard_error = reference.sigma() * std::sqrt(2.0);
  verdict.flip_probability = flip_probability(verdict.log_ratio, verdict.standard_error);
  return verdict;
}

Result<Verdict> judge_as_fisher(const Reference& reference, const LogScore& score) {
  Verdict verdict{.rule = LegalityRule::fisher};
  for (int seed = 0; seed < k_candidate_seeds; ++seed) {
    TRY(const double log_score, score(seed));
    verdict.log_scores.push_back(log_score);
    verdict.log_ratio = mean_of(verdict.log_scores) - reference.mean();
    verdict.standard_error = standard_error(
        reference, candidate_sigma(reference, verdict.log_scores), verdict.log_scores.size());
    if (seed == 0 && std::abs(verdict.log_ratio) > k_decisive_sigmas * reference.sigma()) {
      verdict.legal = verdict.log_ratio > 0;
      verdict.flip_probability = flip_probability(verdict.log_ratio, verdict.standard_error);
      return verdict;
    }
    if (seed > 0 && surely_legal(reference, verdict)) break;
  }
  const double bar = rejecting_bar(verdict.standard_error);
  verdict.legal = !(verdict.log_ratio < bar);
  verdict.flip_probability = flip_probability(verdict.log_ratio - bar, verdict.standard_error);
  return verdict;
}

}  // namespace

const char* legality_name(LegalityRule rule) {
  switch (rule) {
    case LegalityRule::fisher:
      return "fisher";
    case LegalityRule::paper:
      return "paper";
    case LegalityRule::none:
      return "none";
  }
  return "?";
}

Result<LegalityRule> parse_legality(const std::string& name) {
  for (const LegalityRule rule : {LegalityRule::fisher, LegalityRule::paper, LegalityRule::none}) {
    if (name == legality_name(rule)) return rule;
  }
  return error("unknown legality rule '{}': take fisher, paper or none", name);
}

double flip_probability(double distance, double standard_error) {
  if (standard_error <= 0) return distance == 0 ? 0.5 : 0.0;
  return tail(std::abs(distance) / standard_error);
}

double mean_error(const Reference& reference, const std::vector<double>& log_scores, size_t seeds) {
  return standard_error(reference, candidate_sigma(reference, log_scores), seeds);
}

double missing_error(const Reference& reference, const std::vector<double>& log_scores,
                     size_t seeds) {
  return missing_error(candidate_sigma(reference, log_scores), seeds);
}

double Reference::mean() const {
  return mean_of(log_scores);
}
double Reference::sigma() const {
  return deviation_of(log_scores);
}

Result<Verdict> judge(LegalityRule rule, const Reference& reference, const LogScore& score) {
  switch (rule) {
    case LegalityRule::fisher:
      return judge_as_fisher(reference, score);
    case LegalityRule::paper:
      return judge_as_paper(reference, score);
    case LegalityRule::none:
      return Verdict{.rule = LegalityRule::none};
  }
  return failure("unknown legality rule");
}

}  // namespace emulsion
