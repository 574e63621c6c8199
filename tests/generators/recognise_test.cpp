// What recognise_conv takes for a conv, as which nest, and what it refuses and why.
#include "autoschedule/recognise.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace emulsion {
namespace {

using Halide::Expr;
using Halide::Func;
using Halide::ImageParam;
using Halide::RDom;
using Halide::Var;
using testing::HasSubstr;

const Var c("c"), g("g"), x("x"), y("y"), n("n");

struct Images {
  ImageParam in2{Halide::Float(32), 2}, in3{Halide::Float(32), 3}, in4{Halide::Float(32), 4};
  ImageParam w2{Halide::Float(32), 2}, w3{Halide::Float(32), 3}, w4{Halide::Float(32), 4},
      w5{Halide::Float(32), 5};
};

// A Func of these variables to which the value is added.
Func summed(const std::vector<Var>& args, const Expr& value) {
  Func f("f");
  f(args) = 0.0f;
  f(args) += value;
  return f;
}

TEST(RecogniseConv, LiftsToItsNest) {
  Images i;
  const RDom r(0, 16, 0, 3, 0, 5);
  const Func f = summed({c, x, y, n},
                        i.w4(c, r.x, r.y, r.z) * i.in4(r.x, x * 2 + r.y * 3 - 1, y + r.z - 2, n));
  const Result<RecognisedConv> conv = recognise_conv(f.function(), {32, 10, 11, 4});
  ASSERT_TRUE(conv.ok()) << conv.error().message;
  const Nest& nest = conv->nest;
  EXPECT_EQ((std::vector<int64_t>{nest.n, nest.groups, nest.co, nest.ci, nest.y, nest.x, nest.ky,
                                  nest.kx}),
            (std::vector<int64_t>{4, 1, 32, 16, 11, 10, 5, 3}));
  EXPECT_EQ(nest.stride, (Extent2{1, 2}));
  EXPECT_EQ(nest.dilation, (Extent2{1, 3}));
  EXPECT_EQ(nest.pad[0], 2);
  EXPECT_EQ(nest.pad[1], 1);
  EXPECT_EQ(conv->channel_block, 0);
  EXPECT_EQ(conv->vars.at("co").name(), "c");
  EXPECT_EQ(conv->reduction_vars.at("ky").name(), r.z.name());
}

TEST(RecogniseConv, FactorsInAnyOrder) {
  Images i;
  const RDom r(0, 16);
  const Func f = summed({c, x}, i.in2(r, x) * i.w2(c, r));
  EXPECT_EQ(recognise_conv(f.function(), {32, 10})->nest.ci, 16);
}

TEST(RecogniseConv, BlockedWeights) {
  Images i;
  const RDom r(0, 16, 0, 3);
  const Func f = summed({c, x}, i.w4(c % 32, r.x, r.y, c / 32) * i.in2(r.x, x + r.y));
  EXPECT_EQ(recognise_conv(f.function(), {50, 10})->channel_block, 32);
}

TEST(RecogniseConv, GroupsAndDepthwise) {
  Images i;
  const RDom r(0, 4, 0, 3);
  const Func grouped = summed({c, g, x}, i.w4(c, r.x, r.y, g) * i.in2(g * 4 + r.x, x + r.y));
  const Result<RecognisedConv> conv = recognise_conv(grouped.function(), {8, 6, 10});
  ASSERT_TRUE(conv.ok()) << conv.error().message;
  EXPECT_EQ(conv->nest.groups, 6);
  EXPECT_EQ(conv->nest.co, 8);
  EXPECT_FALSE(conv->depthwise);

  const RDom k(0, 3, 0, 3);
  const Func each = summed({c, x, y}, i.w3(c, k.x, k.y) * i.in3(c, x + k.x, y + k.y));
  const Result<RecognisedConv> depthwise = recognise_conv(each.function(), {24, 8, 8});
  ASSERT_TRUE(depthwise.ok()) << depthwise.error().message;
  EXPECT_TRUE(depthwise->depthwise);
  EXPECT_EQ(depthwise->nest.groups, 24);
}

TEST(RecogniseConv, RefusesWithAReason) {
  Images i;
  const RDom r(0, 16, 0, 3), from_one(1, 15), one(0, 16);
  Func twice = summed({c, x}, i.w2(c, one) * i.in2(one, x));
  twice(c, x) += 1.0f;
  Func elsewhere("elsewhere");
  elsewhere(c, x) = 0.0f;
  elsewhere(c, one) += i.w2(c, one) * i.in2(one, c);
  const std::vector<std::pair<Func, const char*>> table = {
      {twice, "not one update"},
      {elsewhere, "not at its own variables"},
      {summed({c, x}, i.w2(c, from_one) * i.in2(from_one, x)), "constant reduction domain from 0"},
      {summed({c, x}, i.w2(c, one) + i.in2(one, x)), "does not add a product"},
      {summed({c, x}, i.w2(c, one) * max(i.in2(one, x), 0.0f)), "does not add a product"},
      {summed({c, x}, i.w2(c, one) * i.in2(one, x * x)), "not affine"},
      {summed({x, c}, i.w2(c, one) * i.in2(one, x)), "is no output channel"},
      {summed({c, x}, i.w2(one, c) * i.in2(one, x)), "not stored output channels first"},
      {summed({c, x}, i.w3(c % 8, one, c / 4) * i.in2(one, x)), "blocks do not follow each other"},
      {summed({c, x}, i.w2(c % 8, one) * i.in2(one, x)), "weights repeat"},
      {summed({c, x}, i.w3(c, r.x, r.y) * i.in2(r.x, x - r.y)), "below 1"},
  };
  for (const auto& [func, reason] : table) {
    const Result<RecognisedConv> conv = recognise_conv(func.function(), {16, 16});
    ASSERT_FALSE(conv.ok()) << reason;
    EXPECT_THAT(conv.error().message, HasSubstr(reason));
  }
  EXPECT_THAT(recognise_conv(table[2].first.function(), {}).error().message,
              HasSubstr("extents are unknown"));
}

}  // namespace
}  // namespace emulsion
