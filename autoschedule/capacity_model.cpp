#include "autoschedule/capacity_model.h"

#include <cmath>
#include <string>

namespace emulsion {
namespace {

// Of the regression, in slots: a rewrite met in fewer is taken to change little.
constexpr double k_ridge = 2;

using Matrix = std::vector<std::vector<double>>;

// Solves a x = b for a symmetric positive definite a (Cholesky).
std::vector<double> solve(Matrix a, std::vector<double> b) {
  const size_t n = b.size();
  for (size_t j = 0; j < n; ++j) {
    for (size_t k = 0; k < j; ++k) a[j][j] -= a[j][k] * a[j][k];
    a[j][j] = std::sqrt(a[j][j]);
    for (size_t i = j + 1; i < n; ++i) {
      for (size_t k = 0; k < j; ++k) a[i][j] -= a[i][k] * a[j][k];
      a[i][j] /= a[j][j];
    }
  }
  for (size_t i = 0; i < n; ++i) {
    for (size_t k = 0; k < i; ++k) b[i] -= a[i][k] * b[k];
    b[i] /= a[i][i];
  }
  for (size_t i = n; i-- > 0;) {
    for (size_t k = i + 1; k < n; ++k) b[i] -= a[k][i] * b[k];
    b[i] /= a[i][i];
  }
  return b;
}

}  // namespace

void CapacityModel::add(const Configuration& configuration, double log_ratio) {
  configurations_.push_back(configuration);
  log_ratios_.push_back(log_ratio);
}

std::vector<std::vector<double>> CapacityModel::log_ratios() const {
  std::map<std::string, int> features;
  std::vector<std::vector<int>> feature_of;  // by slot, by choice; -1: no rewrite
  for (const SpaceSlot& slot : space_->slots) {
    std::vector<int>& row = feature_of.emplace_back();
    for (const SlotChoice& choice : slot.choices) {
      row.push_back(
          choice.rewrite.empty()
              ? -1
              : features.emplace(to_text(choice.rewrite), static_cast<int>(features.size()))
                    .first->second);
    }
  }
  const size_t n = features.size();
  Matrix products(n, std::vector<double>(n, 0));
  std::vector<double> sums(n, 0);
  for (size_t i = 0; i < n; ++i) products[i][i] = k_ridge;
  for (size_t at = 0; at < configurations_.size(); ++at) {
    std::vector<double> counts(n, 0);
    for (size_t s = 0; s < feature_of.size(); ++s) {
      const int feature = feature_of[s][configurations_[at][s]];
      if (feature >= 0) ++counts[feature];
    }
    for (size_t i = 0; i < n; ++i) {
      sums[i] += counts[i] * log_ratios_[at];
      for (size_t j = 0; j < n; ++j) products[i][j] += counts[i] * counts[j];
    }
  }
  const std::vector<double> weights = solve(std::move(products), std::move(sums));
  std::vector<std::vector<double>> result;
  for (const std::vector<int>& row : feature_of) {
    std::vector<double>& out = result.emplace_back();
    for (const int feature : row) out.push_back(feature < 0 ? 0 : weights[feature]);
  }
  return result;
}

}  // namespace emulsion
