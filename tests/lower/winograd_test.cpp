// Winograd's transforms compute a filter exactly, whatever its taps and inputs.
#include "lower/winograd.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace emulsion {
namespace {

struct Filter {
  int outputs, taps, stride = 1;
};
class WinogradTransformsOf : public testing::TestWithParam<Filter> {};

TEST_P(WinogradTransformsOf, ComputeTheFilter) {
  const auto [outputs, taps, stride] = GetParam();
  const WinogradTransforms t = winograd_transforms(outputs, taps, stride);
  const int n = t.products();
  const RandomStream random(1, "winograd_test");
  std::vector<double> inputs, filter;
  for (int i = 0; i < n; ++i) inputs.push_back(random.uniform(i, -1, 1));
  for (int k = 0; k < taps; ++k) filter.push_back(random.uniform(n + k, -1, 1));
  std::vector<double> products;
  for (int p = 0; p < n; ++p) {
    double input = 0, weight = 0;
    for (int i = 0; i < n; ++i) input += t.input[p][i] * inputs[i];
    for (int k = 0; k < taps; ++k) weight += t.weight[p][k] * filter[k];
    products.push_back(input * weight);
  }
  for (int i = 0; i < outputs; ++i) {
    double filtered = 0, transformed = 0;
    for (int k = 0; k < taps; ++k) filtered += filter[k] * inputs[i * stride + k];
    for (int p = 0; p < n; ++p) transformed += t.output[i][p] * products[p];
    EXPECT_NEAR(transformed, filtered, 1e-11) << "output " << i;
  }
}

TEST_P(WinogradTransformsOf, PairPointsWithTheirNegatives) {
  const auto [outputs, taps, stride] = GetParam();
  const WinogradTransforms t = winograd_transforms(outputs, taps, stride);
  // Of each of the filters of every stride-th tap.
  int pairs = 0;
  for (int phase = 0; phase < stride; ++phase)
    if (const int of_phase = (taps - phase + stride - 1) / stride; of_phase > 1)
      pairs += (outputs + of_phase - 1) % 2 == 1 ? 0 : (outputs + of_phase - 1) / 2 - 1;
  EXPECT_EQ(static_cast<int>(t.pairs.size()), pairs);
  for (const int p : t.pairs) {
    for (int k = 0; k < t.products(); ++k)
      EXPECT_EQ(t.input[p + 1][k], (k / stride % 2 == 0 ? 1 : -1) * t.input[p][k]);
    for (int i = 0; i < outputs; ++i)
      EXPECT_EQ(t.output[i][p + 1], (i % 2 == 0 ? 1 : -1) * t.output[i][p]);
  }
}

INSTANTIATE_TEST_SUITE_P(, WinogradTransformsOf,
                         testing::Values(Filter{2, 3}, Filter{4, 3}, Filter{6, 3}, Filter{2, 5},
                                         Filter{4, 5}, Filter{2, 2}, Filter{3, 3}, Filter{2, 3, 2},
                                         Filter{4, 3, 2}, Filter{2, 7, 2}, Filter{4, 7, 2},
                                         Filter{4, 5, 2}, Filter{5, 3}, Filter{3, 4, 3}));

// What half_holds() relies on: a place's weight is at most four times the largest weight.
TEST(WinogradWeights, GrowAtMostFourfold) {
  for (const auto& [outputs, taps, stride] : {Filter{2, 3},
                                              {2, 3, 2},
                                              {4, 3},
                                              {4, 3, 2},
                                              {4, 4},
                                              {4, 4, 2},
                                              {4, 5},
                                              {4, 5, 2},
                                              {4, 6, 2},
                                              {4, 7, 2},
                                              {5, 3},
                                              {6, 3}}) {
    double most = 0;
    for (const auto& row : winograd_transforms(outputs, taps, stride).weight) {
      double sum = 0;
      for (const double weight : row) sum += std::abs(weight);
      most = std::max(most, sum);
    }
    EXPECT_LE(most * most, 4 + 1e-12) << outputs << " outputs of " << taps << " taps";
  }
}

}  // namespace
}  // namespace emulsion
