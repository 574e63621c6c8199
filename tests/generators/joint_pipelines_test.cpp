// Emulsion::Joint on pipelines that people write: whatever it schedules, the result stays the same,
// and it says which Funcs it took for convs.
#include <Halide.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "base/random.h"

namespace emulsion {
namespace {

using Halide::Buffer;
using Halide::Expr;
using Halide::Func;
using Halide::RDom;
using Halide::Var;
using testing::HasSubstr;

const Var c("c"), x("x"), y("y"), n("n"), g("g");

Buffer<float> noise(const std::vector<int>& extents, uint64_t seed) {
  Buffer<float> b(extents);
  const RandomStream random(seed);
  uint64_t i = 0;
  b.for_each_value([&](float& v) { v = static_cast<float>(random.uniform(i++, -1.0, 1.0)); });
  return b;
}

// The pipeline with Joint's schedule computes what it does without one. Returns Joint's report.
std::string check(const std::function<Func()>& build, const std::vector<int>& extents) {
  static const bool loaded = [] {
    Halide::load_plugin(EMULSION_JOINT);
    return true;
  }();
  EXPECT_TRUE(loaded);
  Buffer<float> plain = build().realize(extents);
  Func scheduled = build();
  Halide::Region estimates;
  for (const int extent : extents) estimates.emplace_back(0, extent);
  scheduled.set_estimates(estimates);
  const Halide::AutoSchedulerResults results =
      Halide::Pipeline(scheduled).apply_autoscheduler(Halide::get_host_target(), {"Joint"});
  Buffer<float> fast = scheduled.realize(extents);
  double worst = 0;
  plain.for_each_element(
      [&](const int* at) { worst = std::max(worst, std::abs(double{plain(at)} - fast(at))); });
  EXPECT_LE(worst, 1e-4);
  return results.schedule_source;
}

Func conv3x3(const std::string& name, const Func& in, int ci, const Buffer<float>& weight) {
  Func f(name);
  const RDom r(0, ci, 0, 3, 0, 3);
  f(c, x, y) = 0.0f;
  f(c, x, y) += weight(c, r.x, r.y, r.z) * in(r.x, x + r.y, y + r.z);
  return f;
}

Func image(Buffer<float> b) {
  return Func(b);
}

TEST(JointPipelines, ConvWithPlainWeights) {
  const Buffer<float> in = noise({16, 18, 18}, 1), weight = noise({48, 16, 3, 3}, 2);
  EXPECT_THAT(check(
                  [&] {
                    Func conv = conv3x3("layer", image(in), 16, weight), out("out");
                    out(c, x, y) = max(conv(c, x, y), 0.0f);
                    return out;
                  },
                  {48, 16, 16}),
              HasSubstr(": direct, tile"));
}

TEST(JointPipelines, TwoConvsWithAPoolBetween) {
  const Buffer<float> in = noise({3, 36, 36}, 1), first = noise({17, 3, 3, 3}, 2),
                      second = noise({8, 17, 3, 3}, 3);
  const std::string report = check(
      [&] {
        Func a = conv3x3("first", image(in), 3, first), pool("pool"), out("out");
        pool(c, x, y) = max(a(c, 2 * x, 2 * y), a(c, 2 * x + 1, 2 * y + 1));
        Func b = conv3x3("second", pool, 17, second);
        out(c, x, y) = b(c, x, y) * 2.0f;
        return out;
      },
      {8, 15, 15});
  EXPECT_THAT(report, HasSubstr("// first"));
  EXPECT_THAT(report, HasSubstr("// second"));
  EXPECT_THAT(report, HasSubstr("// pool"));
}

TEST(JointPipelines, ConvOfAPaddedFunc) {
  const Buffer<float> in = noise({16, 12, 12}, 1), weight = noise({16, 16, 3, 3}, 2);
  const std::string report = check(
      [&] {
        Func padded = Halide::BoundaryConditions::constant_exterior(in, 0.0f);
        Func conv = conv3x3("layer", padded, 16, weight), out("out");
        out(c, x, y) = conv(c, x, y) + 1.0f;
        return out;
      },
      {16, 10, 10});
  EXPECT_THAT(report, HasSubstr("// layer"));
  EXPECT_THAT(report, HasSubstr(": direct, tile"));
}

TEST(JointPipelines, DepthwiseAndGroupedConvs) {
  const Buffer<float> in = noise({24, 11, 11}, 1), taps = noise({24, 3, 3}, 2),
                      weight = noise({8, 6, 4}, 3);
  const std::string report = check(
      [&] {
        Func depthwise("depthwise"), grouped("grouped"), mid("mid"), out("out");
        const RDom r(0, 3, 0, 3), k(0, 6);
        depthwise(c, x, y) = 0.0f;
        depthwise(c, x, y) += taps(c, r.x, r.y) * in(c, x * 2 + r.x, y * 2 + r.y);
        mid(c, x, y) = depthwise(c, x, y);
        grouped(c, g, x, y) = 1.0f;
        grouped(c, g, x, y) += mid(g * 6 + k, x, y) * weight(c, k, g);
        out(c, g, x, y) = grouped(c, g, x, y);
        return out;
      },
      {8, 4, 5, 5});
  EXPECT_THAT(report, HasSubstr(": depthwise, tile"));
  EXPECT_THAT(report, HasSubstr(": pointwise, tile"));
}

TEST(JointPipelines, WhatIsNoConvIsLeftComputable) {
  const Buffer<float> in = noise({16, 20}, 1);
  const std::string report = check(
      [&] {
        Func total("total"), histogram("histogram"), out("out");
        const RDom r(0, 16);
        total(x) = 0.0f;
        total(x) += in(r, x) * in(r, x);
        out(c, x) = in(c, x) / total(x);
        return out;
      },
      {16, 20});
  EXPECT_THAT(report, HasSubstr("no conv"));
}

TEST(JointPipelines, AConvThatIsTheOutput) {
  const Buffer<float> in = noise({16, 18, 18}, 1), weight = noise({48, 16, 3, 3}, 2);
  EXPECT_THAT(check([&] { return conv3x3("layer", image(in), 16, weight); }, {48, 16, 16}),
              HasSubstr("an output has no Func after it"));
}

TEST(JointPipelines, HandScheduledFuncsAreLeftAlone) {
  const Buffer<float> in = noise({16, 18, 18}, 1), weight = noise({48, 16, 3, 3}, 2);
  EXPECT_THAT(check(
                  [&] {
                    Func conv = conv3x3("layer", image(in), 16, weight), out("out");
                    out(c, x, y) = conv(c, x, y);
                    conv.compute_root().vectorize(c, 4).update().vectorize(c, 4);
                    return out;
                  },
                  {48, 16, 16}),
              testing::Not(HasSubstr("// layer")));
}

}  // namespace
}  // namespace emulsion
