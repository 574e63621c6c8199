#include "lower/winograd.h"

#include <array>
#include <cmath>

#include "base/divide.h"
#include "base/result.h"

namespace emulsion {

namespace {

// Small points near 1 and their reciprocals keep the transforms' entries, and so the rounding
// errors, small. The last is without its negative where the count is even.
std::vector<double> finite_points(int count) {
  std::vector<double> points{0};
  for (const double p : {1.0, 2.0, 0.5, 4.0, 0.25})
    for (const double point : {p, -p})
      if (static_cast<int>(points.size()) < count) points.push_back(point);
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

Matrix zeros(int rows, int columns) {
  return Matrix(rows, std::vector<double>(columns, 0));
}

// F(outputs, taps) of stride 1. One tap needs no transform: each output is a product.
WinogradTransforms toom_cook(int outputs, int taps) {
  WinogradTransforms t{outputs, taps};
  if (taps == 1) {
    t.weight.assign(outputs, {1});
    t.input = zeros(outputs, outputs);
    for (int i = 0; i < outputs; ++i) t.input[i][i] = 1;
    t.output = t.input;
    return t;
  }
  const int products = t.products(), finite = products - 1;
  const std::vector<double> points = finite_points(finite);
  EMULSION_CHECK(static_cast<int>(points.size()) == finite);
  t.output = zeros(outputs, products);
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
  for (int j = 1; finite % 2 == 1 && j < finite; j += 2) t.pairs.push_back(j);
  return t;
}

}  // namespace

WinogradTransforms winograd_transforms(int outputs, int taps, int stride) {
  EMULSION_CHECK(taps >= stride);
  if (stride == 1) return toom_cook(outputs, taps);
  WinogradTransforms t{outputs, taps, stride};
  t.input = zeros(t.products(), t.products());
  t.weight = zeros(t.products(), taps);
  t.output = zeros(outputs, t.products());
  int first = 0;  // of the products that are still to be filled in
  for (int phase = 0; phase < stride; ++phase) {
    const int phase_taps = static_cast<int>(divide_up(taps - phase, stride));
    const WinogradTransforms one = toom_cook(outputs, phase_taps);
    for (const int pair : one.pairs) t.pairs.push_back(first + pair);
    for (int p = 0; p < one.products(); ++p, ++first) {
      for (int k = 0; k < one.products(); ++k) t.input[first][k * stride + phase] = one.input[p][k];
      for (int k = 0; k < phase_taps; ++k) t.weight[first][k * stride + phase] = one.weight[p][k];
      for (int i = 0; i < outputs; ++i) t.output[i][first] = one.output[i][p];
    }
  }
  return t;
}

void transform_taps(const WinogradTransforms& t, const float* taps, std::vector<double>& places) {
  constexpr int k_most_taps = 8;
  EMULSION_CHECK(t.taps <= k_most_taps);
  const int side = t.products();
  for (int p = 0; p < side; ++p) {
    std::array<double, k_most_taps> row{};
    for (int kx = 0; kx < t.taps; ++kx)
      for (int ky = 0; ky < t.taps; ++ky) row[kx] += t.weight[p][ky] * taps[ky * t.taps + kx];
    for (int q = 0; q < side; ++q) {
      double& sum = places[p * side + q] = 0;
      for (int kx = 0; kx < t.taps; ++kx) sum += row[kx] * t.weight[q][kx];
    }
  }
}

}  // namespace emulsion
