#include "autoschedule/capacity_model.h"

#include <cmath>
#include <map>
#include <string>

namespace emulsion {
namespace {

// Of the regression, for what a rewrite does anywhere, at a size of kernel, and at a size of image
// too: the more features share the same few verdicts, the less each is taken to change.
constexpr double k_ridges[] = {2, 20, 40};

// From what all slots share to what few do.
std::vector<std::string> feature_names(const SpaceSlot& slot, const SlotChoice& choice) {
  std::vector<std::string> names{to_text(choice.rewrite)};
  for (const Shape* shape : {&slot.weight, &slot.output}) {
    std::string name = names.back() + " at";
    for (size_t d = 2; d < shape->size(); ++d) name += fmt::format(" {}", (*shape)[d]);
    names.push_back(std::move(name));
  }
  return names;
}

// Solves a x = b for a symmetric positive definite a (Cholesky).
std::vector<double> solve(std::vector<std::vector<double>> a, std::vector<double> b) {
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

CapacityModel::CapacityModel(const SearchSpace& space) {
  std::map<std::string, int> features;
  std::vector<double> ridges;  // by feature
  for (const SpaceSlot& slot : space.slots) {
    std::vector<std::vector<int>>& row = features_of_.emplace_back();
    for (const SlotChoice& choice : slot.choices) {
      std::vector<int>& list = row.emplace_back();
      if (choice.rewrite.empty()) continue;
      for (const std::string& feature : feature_names(slot, choice)) {
        const auto [found, added] = features.emplace(feature, static_cast<int>(features.size()));
        if (added) ridges.push_back(k_ridges[list.size()]);
        list.push_back(found->second);
      }
    }
  }
  const size_t n = features.size();
  products_.assign(n, std::vector<double>(n, 0));
  sums_.assign(n, 0);
  for (size_t i = 0; i < n; ++i) products_[i][i] = ridges[i];
}

void CapacityModel::add(const Configuration& configuration, double log_ratio) {
  empty_ = false;
  const size_t n = sums_.size();
  std::vector<double> counts(n, 0);
  for (size_t s = 0; s < features_of_.size(); ++s) {
    for (const int feature : features_of_[s][configuration[s]]) ++counts[feature];
  }
  for (size_t i = 0; i < n; ++i) {
    sums_[i] += counts[i] * log_ratio;
    for (size_t j = 0; j < n; ++j) products_[i][j] += counts[i] * counts[j];
  }
}

std::vector<std::vector<double>> CapacityModel::log_ratios() const {
  const std::vector<double> weights = solve(products_, sums_);
  std::vector<std::vector<double>> result;
  for (const std::vector<std::vector<int>>& row : features_of_) {
    std::vector<double>& out = result.emplace_back();
    for (const std::vector<int>& list : row) {
      out.push_back(0);
      for (const int feature : list) out.back() += weights[feature];
    }
  }
  return result;
}

}  // namespace emulsion
