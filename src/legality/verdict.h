// Whether a rewritten network keeps the capacity of the original: a verdict on Fisher Potential.
//   fisher  reference: the original's mean log score over 16 seeds. One seed decides a candidate
//           beyond 3 sigma; else up to 8 seeds, fewer when the mean over all 8 is surely above the
//           bar: rejected only if it is below both -2 standard errors and -5 %.
//   paper   one seed, strictly: rejected if the score is below the original's with the same seed.
//   none    everything is legal.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace emulsion {

enum class LegalityRule { fisher, paper, none };
const char* legality_name(LegalityRule rule);
Result<LegalityRule> parse_legality(const std::string& name);

inline constexpr int k_reference_seeds = 16;
inline constexpr int k_candidate_seeds = 8;

// The original's log scores, by seed.
struct Reference {
  std::vector<double> log_scores;

  double mean() const;
  double sigma() const;  // sample standard deviation over seeds
};

// A mean log ratio below it is rejected, where the scores scatter so little that two standard
// errors are less than that.
const double k_rejecting_log_ratio = std::log(0.95);
// Standard error of the mean log ratio of so many seeds (these log scores are the first of them).
double mean_error(const Reference& reference, const std::vector<double>& log_scores, size_t seeds);
// How far the mean over all k_candidate_seeds may be from that over so many, as a standard error.
double missing_error(const Reference& reference, const std::vector<double>& log_scores,
                     size_t seeds);
// That fresh draws land on the other side of a bar at this distance, errors taken as normal.
double flip_probability(double distance, double standard_error);

struct Verdict {
  bool legal = true;
  LegalityRule rule = LegalityRule::fisher;
  double log_ratio = 0;            // mean over seeds of log(score / reference)
  double standard_error = 0;       // of log_ratio
  double flip_probability = 0;     // that fresh seeds give the other answer, errors taken as normal
  std::vector<double> log_scores;  // the candidate's, by seed
};

// score(seed): the log of the candidate's score; its errors are returned. Seeds count from 0 for
// original and candidates alike.
using LogScore = std::function<Result<double>(int seed)>;
Result<Verdict> judge(LegalityRule rule, const Reference& reference, const LogScore& score);

}  // namespace emulsion
