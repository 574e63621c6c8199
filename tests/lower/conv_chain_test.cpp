// Chains of convs computed by one kernel equal the convs one after the other.
#include "lower/conv_chain.h"

#include <gtest/gtest.h>

#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct Part {
  int64_t co = 16;
  int kernel = 1;
  Extent2 stride{1, 1};
  Extent2 dilation{1, 1};
  Pad4 pad{0, 0, 0, 0};
  int groups = 1;
  std::optional<Activation> activation;
};

const Activation k_relu6{.kind = Activation::Kind::clip, .alpha = 0, .beta = 6};
const Activation k_hard_swish{.kind = Activation::Kind::hard_swish};
// Not zero at zero: padding must be zero after it.
const Activation k_sigmoid{.kind = Activation::Kind::sigmoid};

Part pointwise(int64_t co, std::optional<Activation> activation = std::nullopt) {
  return {.co = co, .activation = activation};
}

Part depthwise(int64_t channels, int stride, std::optional<Activation> activation = k_relu6) {
  return {channels,  3, {stride, stride}, {1, 1}, {1, 1, 1, 1}, static_cast<int>(channels),
          activation};
}

struct Case {
  Shape input;
  std::vector<Part> parts;
  bool residual = false;
  std::string schedule;
  std::string target = "host";
  int threads = 1;
};

KernelSpec spec_of(const Case& c) {
  ConvChain chain;
  chain.image = {static_cast<int>(c.input[2]), static_cast<int>(c.input[3])};
  int64_t ci = c.input[1];
  for (const Part& part : c.parts) {
    ConvCase conv;
    conv.input = {1, ci, 64, 64};
    conv.co = part.co;
    conv.kernel = {part.kernel, part.kernel};
    conv.stride = part.stride;
    conv.dilation = part.dilation;
    conv.pad = part.pad;
    conv.groups = part.groups;
    conv.activation = part.activation;
    chain.convs.push_back(conv.conv());
    ci = part.co;
  }
  chain.convs.back().epilogue.residual = c.residual;
  const Shape output = chain_shapes(chain, c.input).value().back();
  KernelSpec spec;
  spec.op = chain;
  spec.inputs.push_back(channels_last(c.input, chain_rim(chain)));
  if (c.residual) spec.inputs.push_back(channels_last(output));
  spec.output = channels_last(output);
  spec.algorithm = "fused";
  spec.schedule = c.schedule;
  spec.target = resolve_target(c.target).value();
  spec.threads = c.threads;
  return spec;
}

void check(const Case& c) {
  const auto spec = completed(spec_of(c));
  ASSERT_TRUE(spec.ok()) << spec.error().message;
  check_conv(*spec);
}

// Spatial kernels of any kind at the chain's start, middle and end.
Part spatial(int64_t co, int kernel, Extent2 stride, Pad4 pad, Extent2 dilation = {1, 1},
             std::optional<Activation> activation = k_sigmoid) {
  return {co, kernel, stride, dilation, pad, 1, activation};
}

TEST(ConvChain, InvertedResidualBlocks) {
  check({{1, 16, 13, 13}, {pointwise(48, k_relu6), depthwise(48, 1), pointwise(24)}});
  check({{1, 24, 12, 14}, {pointwise(48, k_relu6), depthwise(48, 2), pointwise(17)}});
  check({{2, 24, 7, 9}, {pointwise(48, k_relu6), depthwise(48, 1), pointwise(24)}, true});
}

TEST(ConvChain, PaddingIsZeroAfterTheActivation) {
  check({{1, 3, 5, 7}, {pointwise(17, k_sigmoid), depthwise(17, 1, k_sigmoid), pointwise(3)}});
  check({{1, 3, 7, 5}, {pointwise(1, k_sigmoid), spatial(3, 3, {1, 1}, {1, 2, 2, 1})}});
}

TEST(ConvChain, TwoConvs) {
  check({{1, 32, 12, 12}, {depthwise(32, 1), pointwise(16)}});
  check({{1, 17, 13, 7}, {depthwise(17, 2, k_hard_swish), pointwise(24, k_hard_swish)}});
  check({{1, 17, 13, 7}, {pointwise(24, k_hard_swish), depthwise(24, 2)}});
  check({{1, 8, 9, 9}, {pointwise(16), pointwise(32)}});
}

TEST(ConvChain, OrdinaryConvs) {
  check({{1, 16, 7, 7},
         {pointwise(16, k_sigmoid), spatial(16, 3, {1, 1}, {1, 1, 1, 1}), pointwise(64)}});
  check({{1, 3, 17, 17}, {spatial(8, 3, {2, 2}, {1, 1, 1, 1}), depthwise(8, 1), pointwise(16)}});
  check({{1, 4, 13, 11},
         {spatial(8, 3, {1, 1}, {1, 1, 1, 1}), spatial(8, 3, {2, 1}, {0, 1, 1, 0}),
          spatial(5, 3, {1, 1}, {1, 1, 1, 1})}});
}

TEST(ConvChain, StridesDilationsAndUnevenPads) {
  for (const int stride : {1, 2, 3})
    for (const Pad4& pad : {Pad4{0, 0, 0, 0}, Pad4{2, 1, 0, 3}})
      check({{1, 3, 13, 13},
             {pointwise(17, k_sigmoid), spatial(3, 3, {stride, 1}, pad), pointwise(17)}});
  check({{1, 5, 13, 13},
         {pointwise(24, k_sigmoid), spatial(8, 3, {1, 2}, {2, 2, 2, 2}, {2, 2}), pointwise(5)}});
  check({{1, 5, 9, 13},
         {pointwise(7, k_sigmoid), spatial(8, 5, {2, 2}, {2, 2, 2, 2}), pointwise(5)}});
  // The stride passes over rows and columns.
  check({{1, 5, 11, 11}, {pointwise(7, k_sigmoid), spatial(8, 1, {2, 2}, {0, 0, 0, 0})}});
}

TEST(ConvChain, BandsThatDoNotDivideTheRows) {
  for (const int threads : {1, 2, 3, 5})
    check({{2, 8, 13, 6},
           {pointwise(16, k_sigmoid), depthwise(16, 1), pointwise(8)},
           true,
           "",
           "host",
           threads});
}

TEST(ConvChain, EverySchedule) {
  const Case block{{1, 24, 12, 12}, {pointwise(48, k_relu6), depthwise(48, 2), pointwise(24)}};
  for (const std::string& schedule : find_algorithm("fused")->schedules(spec_of(block))) {
    Case c = block;
    c.schedule = schedule;
    check(c);
  }
}

TEST(ConvChain, StepsOfSeveralRows) {
  check({{1, 8, 12, 12},
         {pointwise(16, k_sigmoid), depthwise(16, 1), pointwise(16)},
         false,
         "vectorize co 16 | vectorize g 16 | "
         "split y 6; tile yi 2; interchange co y; interchange co yi; parallel y"});
}

TEST(ConvChain, OtherTargets) {
  for (const char* target : {"x86-64-linux-avx-avx2-f16c-fma-sse41", "x86-64-linux-sse41"})
    check({{1, 24, 12, 12},
           {pointwise(40, k_relu6), depthwise(40, 2), pointwise(24)},
           false,
           "",
           target});
}

}  // namespace
}  // namespace emulsion
