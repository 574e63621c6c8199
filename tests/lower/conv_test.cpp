// Every conv algorithm equals the plain reference, on shapes that fit no tile.
#include "conv_harness.h"
#include "lower/algorithm.h"

namespace emulsion {
namespace {

struct Named {
  const char* name;
  ConvCase conv;
};

class ConvKernel : public testing::TestWithParam<Named> {};

TEST_P(ConvKernel, EqualsTheReferenceByEveryAlgorithm) {
  const KernelSpec spec = GetParam().conv.spec();
  for (const Algorithm& algorithm : algorithms()) {
    std::string reason;
    if (!algorithm.applies(spec, &reason)) continue;
    SCOPED_TRACE(algorithm.name);
    check_conv(GetParam().conv, algorithm.name);
  }
}

Prologue scaled_relu(int64_t channels) {
  Prologue prologue;
  Tensor scale({channels}), shift({channels});
  for (int64_t c = 0; c < channels; ++c) {
    scale.data[c] = 0.5f + 0.01f * static_cast<float>(c);
    shift.data[c] = 0.3f - 0.02f * static_cast<float>(c);
  }
  prologue.scale = std::make_shared<const Tensor>(scale);
  prologue.shift = std::make_shared<const Tensor>(shift);
  prologue.activation = Activation{Activation::Kind::relu};
  return prologue;
}

const Activation k_relu{Activation::Kind::relu};

Activation prelu(int64_t slopes) {
  Activation activation{Activation::Kind::prelu};
  std::vector<float> values;
  for (int64_t c = 0; c < slopes; ++c) values.push_back(0.1f + 0.05f * static_cast<float>(c));
  activation.slope = constant({slopes}, values);
  return activation;
}

INSTANTIATE_TEST_SUITE_P(
    Direct, ConvKernel,
    testing::Values(
        Named{"Plain", {}}, Named{"OneInputChannel", {.input = {1, 1, 5, 7}, .co = 3}},
        Named{"StemStride2",
              {.input = {1, 3, 13, 13},
               .co = 17,
               .kernel = {7, 7},
               .stride = {2, 2},
               .pad = {3, 3, 3, 3},
               .activation = k_relu}},
        Named{"TailsEverywhere",
              {.input = {2, 17, 7, 5}, .co = 48, .residual = true, .activation = k_relu}},
        Named{"ChannelTailWithResidual", {.input = {1, 8, 5, 5}, .co = 17, .residual = true}},
        Named{"UnevenPadding", {.input = {1, 5, 7, 6}, .co = 8, .pad = {0, 2, 1, 0}}},
        Named{"Dilated",
              {.input = {1, 4, 13, 13}, .co = 16, .dilation = {2, 3}, .pad = {2, 3, 2, 3}}},
        Named{"Stride3", {.input = {1, 4, 13, 11}, .co = 16, .stride = {3, 2}}},
        Named{"Stride2", {.input = {2, 17, 13, 14}, .co = 24, .stride = {2, 2}, .residual = true}},
        Named{"Stride2UnevenPadding",
              {.input = {1, 5, 8, 9},
               .co = 16,
               .stride = {2, 2},
               .pad = {0, 2, 1, 0},
               .activation = k_relu}},
        Named{"Stride2GroupsAndPrologue",
              {.input = {1, 32, 7, 10},
               .co = 34,
               .stride = {2, 2},
               .groups = 2,
               .prologue = scaled_relu(32),
               .parent_channels = 3}},
        Named{"OneByN", {.input = {1, 4, 5, 9}, .co = 16, .kernel = {1, 5}, .pad = {0, 2, 0, 2}}},
        Named{"TinyImage", {.input = {1, 16, 1, 1}, .co = 16}},
        Named{"WideRims",
              {.input = {1, 16, 5, 5},
               .co = 16,
               .residual = true,
               .more_rim = {2, 0, 1, 3},
               .output_rim = {1, 2, 0, 1}}},
        Named{"SlicesOfConcatenations",
              {.input = {2, 16, 5, 5}, .co = 16, .residual = true, .parent_channels = 7}},
        Named{"Groups2", {.input = {1, 32, 7, 7}, .co = 64, .groups = 2, .activation = k_relu}},
        Named{"SmallGroups", {.input = {1, 12, 5, 5}, .co = 24, .groups = 4, .residual = true}},
        Named{"GroupTails",
              {.input = {1, 10, 5, 5},
               .co = 34,
               .groups = 2,
               .residual = true,
               .activation = prelu(34),
               .parent_channels = 3}},
        Named{"ChannelMultiplier", {.input = {1, 6, 5, 5}, .co = 12, .groups = 6}},
        Named{"StridedPointwise",
              {.input = {1, 8, 8, 8},
               .co = 16,
               .kernel = {1, 1},
               .stride = {2, 2},
               .pad = {0, 0, 0, 0}}},
        Named{"PrologueWithPadding",
              {.input = {1, 20, 7, 7}, .co = 16, .prologue = scaled_relu(20)}},
        Named{"PrologueInGroups",
              {.input = {2, 12, 5, 5}, .co = 16, .groups = 2, .prologue = scaled_relu(12)}},
        Named{"PreluPerChannel", {.co = 17, .activation = prelu(17)}},
        Named{"PreluOfOneSlope", {.co = 17, .activation = prelu(1)}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Packed, ConvKernel,
    testing::Values(
        Named{"GroupsOf4", {.input = {1, 32, 7, 13}, .co = 32, .groups = 8, .activation = k_relu}},
        Named{"GroupsOf8", {.input = {2, 32, 13, 11}, .co = 32, .groups = 4, .residual = true}},
        Named{"FewerInputsThanOutputs", {.input = {1, 16, 5, 9}, .co = 64, .groups = 16}},
        Named{"MoreInputsThanOutputs", {.input = {1, 48, 5, 5}, .co = 16, .groups = 4}},
        Named{"ThreeInputs", {.input = {1, 24, 5, 5}, .co = 32, .stride = {2, 2}, .groups = 8}},
        Named{"OneOutput", {.input = {1, 48, 5, 5}, .co = 16, .groups = 16}},
        Named{"TooFewGroupsForAVector", {.input = {1, 24, 7, 7}, .co = 24, .groups = 6}},
        Named{"DilatedAndUneven",
              {.input = {1, 32, 9, 8},
               .co = 32,
               .stride = {1, 2},
               .dilation = {2, 1},
               .pad = {2, 1, 3, 0},
               .groups = 8}},
        Named{"SlicesAtOddPlaces",
              {.input = {1, 32, 5, 5},
               .co = 32,
               .groups = 8,
               .residual = true,
               .activation = prelu(32),
               .parent_channels = 5}},
        Named{"PackedPointwise",
              {.input = {1, 64, 5, 5},
               .co = 64,
               .kernel = {1, 1},
               .pad = {0, 0, 0, 0},
               .groups = 16}},
        Named{"PackedPrologue",
              {.input = {1, 32, 5, 7}, .co = 32, .groups = 8, .prologue = scaled_relu(32)}},
        Named{"TooManyInputsToUnroll", {.input = {1, 1024, 3, 3}, .co = 16, .groups = 4}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Pointwise, ConvKernel,
    testing::Values(Named{"Flat",
                          {.input = {2, 48, 7, 7},
                           .co = 33,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .residual = true,
                           .activation = k_relu}},
                    Named{
                        "FlatOneImage",
                        {.input = {1, 64, 4, 4}, .co = 64, .kernel = {1, 1}, .pad = {0, 0, 0, 0}}},
                    Named{"FlatInSlices",
                          {.input = {2, 16, 3, 3},
                           .co = 16,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .parent_channels = 5}},
                    Named{"OutputWithRim",
                          {.input = {2, 16, 5, 5},
                           .co = 16,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .residual = true,
                           .output_rim = {1, 1, 1, 1}}},
                    Named{"InputWithRim",
                          {.input = {2, 16, 5, 5},
                           .co = 16,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .more_rim = {1, 1, 1, 1}}},
                    Named{"WithPrologue",
                          {.input = {1, 130, 7, 7},
                           .co = 32,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .prologue = scaled_relu(130)}},
                    Named{"Grouped",
                          {.input = {1, 32, 5, 5},
                           .co = 32,
                           .kernel = {1, 1},
                           .pad = {0, 0, 0, 0},
                           .groups = 2}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Winograd, ConvKernel,
    testing::Values(
        Named{"SeveralBands", {.input = {1, 16, 40, 24}, .co = 48, .activation = k_relu}},
        Named{"WideImage", {.input = {1, 24, 9, 130}, .co = 16}},
        Named{"TilesHangOver", {.input = {1, 19, 14, 10}, .co = 40, .residual = true}},
        Named{"ManyChannelsFewTiles", {.input = {2, 64, 5, 4}, .co = 80}},
        Named{"GroupsInImages",
              {.input = {2, 32, 9, 9}, .co = 96, .groups = 2, .prologue = scaled_relu(32)}},
        Named{"NoPadding", {.input = {1, 8, 7, 12}, .co = 16, .pad = {0, 0, 0, 0}}},
        Named{"OneOutput", {.input = {1, 3, 3, 3}, .co = 1, .pad = {0, 0, 0, 0}}}),
    [](const auto& info) { return info.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Depthwise, ConvKernel,
    testing::Values(
        Named{"Wide", {.input = {1, 32, 9, 9}, .co = 32, .groups = 32, .activation = k_relu}},
        Named{"ChannelTail",
              {.input = {2, 23, 7, 7},
               .co = 23,
               .groups = 23,
               .residual = true,
               .activation = prelu(23)}},
        Named{"FewChannels", {.input = {1, 3, 7, 7}, .co = 3, .groups = 3}},
        Named{"Strided",
              {.input = {1, 17, 8, 8},
               .co = 17,
               .stride = {2, 2},
               .pad = {0, 0, 1, 1},
               .groups = 17}},
        Named{"Dilated5x5",
              {.input = {1, 16, 9, 9},
               .co = 16,
               .kernel = {5, 5},
               .dilation = {2, 1},
               .pad = {4, 2, 4, 2},
               .groups = 16}},
        Named{"WithPrologue",
              {.input = {1, 24, 7, 7}, .co = 24, .groups = 24, .prologue = scaled_relu(24)}},
        Named{"InSlices",
              {.input = {1, 16, 5, 5},
               .co = 16,
               .groups = 16,
               .more_rim = {1, 0, 0, 2},
               .parent_channels = 9}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace emulsion
