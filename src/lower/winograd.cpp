#include "lower/winograd.h"

#include <cmath>

#include "base/result.h"

namespace emulsion {

namespace {

// Small points near 1 and their reciprocals keep the transforms' entries, and so the rounding
// errors, small.
std::vector<double> finite_points(int count) {
  std::vector<double> points{0};
  for (const double p : {1.0, 2.0, 0.5, 4.0, 0.25}) {
    if (static_cast<int>(points.size()) + 2 > count) break;
    points.push_back(p);
    points.push_back(-p);
  }
  return points;
}

// Coefficients of the product of (x - p) over all points but one (skip < 0: all), lowest first.
std::vector<double> polynomial(const std::vector<double>& points, int skip) {
  std::vector<double> coefficients{1};
  for (int i = 0; i < static_cast<int>(points.size()); ++i) {
    if (i == skip) continue;
    coefficients.push_back(0);
    for (size_t k = coefficients.size(); k-- > 0;)
      coefficients[k] = (k > 0 ? coefficients[k - 1] : 0) - points[i] * coefficients[k];
  }
  return coefficients;
}

}  // namespace

WinogradTransforms winograd_transforms(int outputs, int taps) {
  WinogradTransforms t{outputs, taps, {}, {}, {}};
  const int products = t.products(), finite = products - 1;
  const std::vector<double> points = finite_points(finite);
  EMULSION_CHECK(static_cast<int>(points.size()) == finite);
  t.output.assign(outputs, std::vector<double>(products, 0));
  for (int j = 0; j < finite; ++j) {
    double scale = 1;
    for (int k = 0; k < finite; ++k)
      if (k != j) scale /= points[j] - points[k];
    std::vector<double> input = polynomial(points, j), weight;
    input.push_back(0);
    for (int k = 0; k < taps; ++k) weight.push_back(scale * std::pow(points[j], k));
    t.input.push_back(input);
    t.weight.push_back(weight);
    for (int i = 0; i < outputs; ++i) t.output[i][j] = std::pow(points[j], i);
  }
  t.input.push_back(polynomial(points, -1));
  t.weight.emplace_back(taps, 0.0);
  t.weight.back().back() = 1;
  t.output.back().back() = 1;
  return t;
}

}  // namespace emulsion
