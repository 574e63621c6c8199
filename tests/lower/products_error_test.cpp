// Convs as products of transformed inputs keep their bounds where errors are worst: many channels,
// and inputs that do not cancel.
#include <gtest/gtest.h>

#include "conv_harness.h"

namespace emulsion {
namespace {

struct Case {
  const char* algorithm;
  int kernel, stride;
};
class ProductsError : public testing::TestWithParam<Case> {};

TEST_P(ProductsError, StaysWithinItsBoundOnManyPositiveChannels) {
  const auto [algorithm, kernel, stride] = GetParam();
  ConvCase c{.input = {1, 512, 14, 14}, .co = 16, .kernel = {kernel, kernel}};
  c.stride = {stride, stride};
  c.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
  c.prologue.activation = Activation{Activation::Kind::relu};
  check_conv(c, algorithm);
}

INSTANTIATE_TEST_SUITE_P(, ProductsError,
                         testing::Values(Case{"winograd2", 3, 1}, Case{"winograd2", 3, 2},
                                         Case{"winograd4", 3, 1}, Case{"winograd4", 3, 2},
                                         Case{"winograd4", 5, 1}, Case{"winograd4", 5, 2},
                                         Case{"winograd4", 7, 2}, Case{"winograd5", 3, 1},
                                         Case{"winograd6", 3, 1}, Case{"strassen", 1, 1}));

}  // namespace
}  // namespace emulsion
