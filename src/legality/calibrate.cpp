#include "legality/calibrate.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace emulsion {
namespace {

using Json = nlohmann::json;

constexpr const char* k_format = "emulsion-finetunes-1";
constexpr size_t k_fewest_runs = 3, k_enough_runs = 6;

Result<double> share_of(const Json& json, const char* key, const std::string& where) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number()) {
    return error("{}: \"{}\" must be a number", where, key);
  }
  const double value = *found;
  if (!(value >= 0 && value <= 1)) {
    return error("{}: \"{}\" is {}, it must be from 0 to 1", where, key, value);
  }
  return value;
}

Status known_keys(const Json& json, const std::vector<std::string>& keys,
                  const std::string& where) {
  if (!json.is_object()) return error("{}: expected an object", where);
  for (const auto& [key, value] : json.items()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) {
      return error("{}: unknown key \"{}\"; the keys are {}", where, key, fmt::join(keys, ", "));
    }
  }
  return ok();
}

// Runs by rising score.
struct Fit {
  double threshold;
  int wrong;
};
Fit fit(const std::vector<ScoredFineTune>& runs, double least) {
  const auto acceptable = [&](size_t i) { return runs[i].accuracy >= least; };
  int wrong = 0;  // nothing is let through
  for (size_t i = 0; i < runs.size(); ++i) wrong += acceptable(i);
  Fit best{runs[0].score / 2, wrong};
  for (size_t i = 0; i < runs.size(); ++i) {
    wrong += acceptable(i) ? -1 : 1;  // now those up to i are let through
    const bool last = i + 1 == runs.size();
    if (!last && runs[i + 1].score == runs[i].score) continue;
    const double between = last ? runs[i].score : (runs[i].score + runs[i + 1].score) / 2;
    if (wrong < best.wrong) best = {between, wrong};
  }
  return best;
}

std::vector<double> ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> result(values.size());
  for (size_t i = 0; i < order.size();) {
    size_t end = i;
    while (end < order.size() && values[order[end]] == values[order[i]]) ++end;
    for (size_t k = i; k < end; ++k) result[order[k]] = static_cast<double>(i + end - 1) / 2;
    i = end;
  }
  return result;
}

double correlation(const std::vector<double>& a, const std::vector<double>& b) {
  const double n = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / n;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / n;
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    ab += (a[i] - mean_a) * (b[i] - mean_b);
    aa += (a[i] - mean_a) * (a[i] - mean_a);
    bb += (b[i] - mean_b) * (b[i] - mean_b);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

}  // namespace

Result<FineTunes> parse_fine_tunes(const std::string& text, const std::string& file_name) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return error("{} is not JSON", file_name);
  TRY_OK(known_keys(json, {"format", "original_accuracy", "tolerance", "runs"}, file_name));
  if (json.value("format", Json()) != k_format) {
    return error("{}: \"format\" must be \"{}\"", file_name, k_format);
  }
  FineTunes result;
  TRY(result.original_accuracy, share_of(json, "original_accuracy", file_name));
  if (json.contains("tolerance")) {
    TRY(result.tolerance, share_of(json, "tolerance", file_name));
  }
  const auto runs = json.find("runs");
  if (runs == json.end() || !runs->is_array()) {
    return error("{}: \"runs\" must be an array", file_name);
  }
  for (size_t i = 0; i < runs->size(); ++i) {
    const std::string where = fmt::format("{}: runs[{}]", file_name, i);
    const Json& run = (*runs)[i];
    TRY_OK(known_keys(run, {"plan", "accuracy"}, where));
    const auto plan = run.find("plan");
    if (plan == run.end() || !plan->is_string()) {
      return error("{}: \"plan\" must be the path of a plan", where);
    }
    FineTune fine_tune{*plan, 0};
    TRY(fine_tune.accuracy, share_of(run, "accuracy", where));
    result.runs.push_back(std::move(fine_tune));
  }
  if (result.runs.size() < k_fewest_runs) {
    return error("{}: {} fine-tune(s); a threshold needs {} at least, better {}", file_name,
                 result.runs.size(), k_fewest_runs, k_enough_runs);
  }
  return result;
}

Result<Calibration> calibrate(const std::vector<ScoredFineTune>& runs, double original_accuracy,
                              double tolerance) {
  if (runs.size() < k_fewest_runs) {
    return error("{} fine-tune(s); a threshold needs {} at least, better {}", runs.size(),
                 k_fewest_runs, k_enough_runs);
  }
  std::vector<ScoredFineTune> sorted = runs;
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.score < b.score; });
  // Accuracies are decimal fractions: 0.93 - 0.01 must not exclude 0.92.
  const double least = original_accuracy - tolerance - 1e-9;
  const Fit whole = fit(sorted, least);
  Calibration result{.threshold = whole.threshold, .low = whole.threshold, .high = whole.threshold};
  result.wrong = whole.wrong;
  std::vector<double> scores, losses;
  for (size_t i = 0; i < sorted.size(); ++i) {
    std::vector<ScoredFineTune> others = sorted;
    others.erase(others.begin() + static_cast<int64_t>(i));
    const double threshold = fit(others, least).threshold;
    result.low = std::min(result.low, threshold);
    result.high = std::max(result.high, threshold);
    result.acceptable += sorted[i].accuracy >= least;
    scores.push_back(sorted[i].score);
    losses.push_back(original_accuracy - sorted[i].accuracy);
  }
  result.rank_correlation = correlation(ranks(scores), ranks(losses));
  if (runs.size() < k_enough_runs) {
    result.warnings.push_back(
        fmt::format("{} fine-tunes are few: {} or more tell better", runs.size(), k_enough_runs));
  }
  if (result.acceptable == 0) {
    result.warnings.push_back("no fine-tune stayed within the tolerance: try milder plans");
  } else if (result.acceptable == static_cast<int>(runs.size())) {
    result.warnings.push_back(
        "every fine-tune stayed within the tolerance: harsher plans may do so too");
  }
  if (result.rank_correlation < 0.5) {
    result.warnings.push_back(
        fmt::format("scores and lost accuracies hardly agree (rank correlation {:.2f})",
                    result.rank_correlation));
  }
  return result;
}

}  // namespace emulsion
