// Schedules written by hand: every one that is accepted computes the conv, every other is refused
// with the reason, and none crashes.
#include <gmock/gmock.h>

#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "lower/schedule.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

const ConvCase k_odd{.input = {2, 12, 7, 5}, .co = 20, .residual = true};

class HandWritten : public testing::TestWithParam<const char*> {};

TEST_P(HandWritten, ComputesTheConv) {
  check_conv(k_odd, "direct", GetParam());
}

INSTANTIATE_TEST_SUITE_P(
    , HandWritten,
    testing::Values("unroll kx",  // the plain loops
                    "vectorize co 16", "vectorize co 8; parallel n", "vectorize co",
                    "tile co 16; vectorize coi 8; unroll coi; tile x 2; unroll xi",
                    "tile x 5; tile y 2; tile co 8; vectorize coi; unroll xi; unroll yi",
                    // Sums kept in memory between two parts of the input channels.
                    "split ci 4; interchange ci y; tile co 8; vectorize coi",
                    // All reductions outside everything.
                    "interchange n ci; interchange g ky; interchange co kx; vectorize co 4",
                    "split ci 6; interchange cii kx; split cii 2; unroll ciii; vectorize co 8",
                    "split y 4; split yi 2; parallel y; vectorize co 4",
                    "split x 2; split x 2; vectorize co 4",
                    "interchange co x; vectorize co 4; parallel y", "tile n 2; vectorize co 8",
                    "fuse y x; vectorize co 4",
                    "tile co 16; vectorize coi 8; fuse n g; fuse ng co; "
                    "fuse ngco y; parallel ngcoy",
                    "tile x 2; tile co 8; vectorize coi; fuse y x; parallel yx",
                    "tile x 2; split x 1; vectorize co 4",
                    "split co 4; fuse co coi; vectorize co 4"));

// Where nothing lies outside the reductions, or a loop of one iteration does.
TEST(HandWrittenWithPrologue, ComputesTheConv) {
  ConvCase c = k_odd;
  const Constant channels = constant({12}, std::vector<float>(12, 0.3f));
  c.prologue = {channels, channels, Activation{Activation::Kind::relu}};
  for (const char* schedule : {"interchange n ci; interchange g ky; interchange co kx",
                               "interchange n ky; vectorize co 4", "interchange n g"})
    check_conv(c, "direct", schedule);
  c.co = c.groups = 12;
  check_conv(c, "depthwise", "interchange co x; interchange n ky");
}

// Channels in parts outside pixels; the same with the weights in parts; and pixels outside
// channels: of more values than stay in the first level cache.
TEST(HandWrittenWithPrologue, KeepsItsValuesForAPartOfTheChannels) {
  ConvCase c;
  c.input = {2, 300, 5, 7};
  c.co = 64;
  c.kernel = {1, 1};
  c.pad = {0, 0, 0, 0};
  const Constant channels = constant({300}, std::vector<float>(300, 0.3f));
  c.prologue = {channels, channels, Activation{Activation::Kind::relu}};
  const std::string tile =
      "tile x 5; split co 32; tile coi 16; vectorize coii 8; unroll coii; unroll xi; ";
  for (const char* order : {"parallel co", "split ci 20; interchange y ci; parallel co",
                            "interchange coi y; interchange coi x; parallel x"})
    check_conv(c, "pointwise", tile + order);
  c.input = {1, 4000, 3, 5};
  c.prologue.scale = c.prologue.shift = constant({4000}, std::vector<float>(4000, 0.01f));
  check_conv(c, "pointwise", tile + "interchange coi y; interchange coi x");
}

// Of a 1x1 conv of 196 pixels to 192 channels.
ConvSchedule pointwise_schedule(const std::string& steps, int64_t ci) {
  Conv conv;
  conv.weight = abstract_constant({192, ci, 1, 1});
  auto schedule = conv_schedule(conv_nest(conv, {1, ci, 1, 196}), steps, ScheduleRules{});
  EXPECT_TRUE(schedule.ok()) << schedule.error().message;
  return std::move(schedule).value();
}

KeptPrologue kept(const std::string& steps, int64_t ci, int64_t packed = 1) {
  return kept_prologue(pointwise_schedule(steps, ci), packed);
}

// Loops outside the reductions are n g co y x, or n g y x co.
TEST(KeptPrologue, IsWhereItNeedNotBeComputedAgainWithinLimits) {
  const std::string tile = "tile x 7; tile co 32; ";
  EXPECT_EQ(kept(tile + "parallel co", 64).values, 64 * 196);
  EXPECT_EQ(kept(tile + "parallel co", 640).values, 640 * 7) << "near, again for each tile";
  EXPECT_EQ(kept("tile x 7; split co 96; tile coi 32; parallel co", 640).values, 640 * 196);
  EXPECT_EQ(kept("tile x 7; split co 96; tile coi 32; parallel co", 1000).values, 1000 * 7);
  const KeptPrologue inside = kept(tile + "interchange co y; interchange co x; parallel x", 4000);
  EXPECT_EQ(inside.values, 4000 * 7);
  EXPECT_EQ(inside.level, 3u);
  // One iteration of channels is no reason to keep more.
  EXPECT_EQ(kept("tile x 7; tile co 192; parallel y", 640).values, 640 * 7);
  EXPECT_EQ(kept(tile + "parallel co", 1000, 4).values, 4 * 1000 * 7);
  // Too much for the stack: values are computed where they are read.
  EXPECT_EQ(kept(tile + "split ci 100; interchange y ci; parallel co", 2000).values, 0);
}

TEST(KeptPrologue, CountsWhatTheBusiestThreadComputes) {
  const auto values = [](const std::string& steps, int threads) {
    return prologue_values(pointwise_schedule(steps, 640), 1, threads);
  };
  const double all = 640 * 196;
  EXPECT_EQ(values("tile x 7; tile co 32; parallel co", 1), 6 * all);
  EXPECT_EQ(values("tile x 7; tile co 32; parallel co", 2), 3 * all);
  EXPECT_EQ(values("tile x 7; split co 96; tile coi 32; parallel co", 1), 2 * all);
  EXPECT_EQ(values("tile x 7; split co 96; tile coi 32; parallel co", 2), all);
  const char* inside = "tile x 7; tile co 32; interchange co y; interchange co x; parallel x";
  EXPECT_EQ(values(inside, 1), all);
  EXPECT_EQ(values(inside, 4), all / 4);
}

class TemplateSchedule : public testing::TestWithParam<ConvCase> {};

TEST_P(TemplateSchedule, IsAcceptedAndTheDefaultIsFirst) {
  for (const char* target : {"x86-64-linux-avx512_skylake", "x86-64-linux-avx-avx2-f16c-fma-sse41",
                             "x86-64-linux", "arm-64-linux"}) {
    KernelSpec spec = GetParam().spec();
    spec.target = *resolve_target(target);
    for (const Algorithm& algorithm : algorithms()) {
      std::string reason;
      if (!algorithm.applies(spec, &reason)) continue;
      spec.algorithm = algorithm.name;
      const std::vector<std::string> schedules = algorithm.schedules(spec);
      ASSERT_FALSE(schedules.empty());
      EXPECT_LE(schedules.size(), 24u);
      EXPECT_EQ(schedules.front(), algorithm.best_guess(spec).steps);
      for (const std::string& schedule : schedules) {
        spec.schedule = schedule;
        const auto full = completed(spec);
        EXPECT_TRUE(full.ok()) << full.error().message;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    , TemplateSchedule,
    testing::Values(
        ConvCase{}, k_odd, ConvCase{.input = {1, 64, 56, 56}, .co = 64},
        ConvCase{.input = {1, 512, 7, 7}, .co = 512},
        ConvCase{.input = {1, 4096, 9, 40}, .co = 512}, ConvCase{.input = {1, 1, 1, 1}, .co = 1},
        ConvCase{.input = {4, 3, 31, 33}, .co = 17, .kernel = {7, 7}, .stride = {2, 2}},
        ConvCase{.input = {1, 96, 14, 14}, .co = 96, .groups = 96},
        ConvCase{.input = {1, 3, 5, 5}, .co = 3, .groups = 3},
        ConvCase{.input = {2, 40, 9, 9}, .co = 24, .kernel = {1, 1}, .pad = {0, 0, 0, 0}},
        ConvCase{.input = {1, 32, 8, 8}, .co = 64, .groups = 8},
        // Input channels whose halves are odd.
        ConvCase{.input = {1, 276, 28, 28}, .co = 64, .stride = {2, 2}},
        ConvCase{.input = {1, 130, 14, 14}, .co = 40},
        ConvCase{.input = {1, 300, 14, 14}, .co = 64, .kernel = {5, 5}, .pad = {2, 2, 2, 2}}));

// The last of the alternatives differ most from the default.
TEST(LastTemplateSchedule, ComputesTheConv) {
  for (const ConvCase& c :
       {k_odd, ConvCase{.input = {1, 32, 6, 9}, .co = 48, .kernel = {1, 1}, .pad = {0, 0, 0, 0}},
        ConvCase{.input = {1, 40, 6, 9}, .co = 40, .groups = 40}}) {
    KernelSpec spec = *completed([&] {
      KernelSpec s = c.spec();
      s.target = *resolve_target("host");
      return s;
    }());
    spec.schedule = find_algorithm(spec.algorithm)->schedules(spec).back();
    check_conv(spec);
  }
}

TEST(WinogradSchedule, ComputesBlocksOfChannelsThatHangOverAGroup) {
  const ConvCase c{.input = {1, 80, 30, 30}, .co = 80, .pad = {0, 0, 0, 0}, .groups = 2};
  for (const char* schedule :
       {"split x 28; split co 32; interchange co x; interchange coi co; tile xi 7; tile coi 16; "
        "vectorize coii 16; unroll xii; parallel x",
        "split co 32; interchange coi y; tile x 7; tile coi 16; vectorize coii 16; unroll xi; "
        "parallel co",
        "interchange co y; tile x 7; tile co 16; vectorize coi 16; unroll xi"})
    check_conv(c, "winograd4", schedule);
}

struct Refused {
  const char* algorithm;
  const char* schedule;
  const char* why;
};

class Schedule : public testing::TestWithParam<Refused> {};

TEST_P(Schedule, IsRefusedWithTheReason) {
  KernelSpec spec = k_odd.spec();
  if (std::string(GetParam().algorithm) == "depthwise")
    spec = ConvCase{.input = {1, 12, 7, 7}, .co = 12, .groups = 12}.spec();
  if (std::string(GetParam().algorithm) == "pointwise")
    spec = ConvCase{.input = {1, 12, 7, 7}, .co = 12, .kernel = {1, 1}, .pad = {0, 0, 0, 0}}.spec();
  if (std::string(GetParam().algorithm) == "packed")
    spec = ConvCase{.input = {1, 32, 7, 7}, .co = 32, .groups = 8}.spec();
  spec.target = *resolve_target("host");
  spec.algorithm = GetParam().algorithm;
  spec.schedule = GetParam().schedule;
  const auto full = completed(spec);
  ASSERT_FALSE(full.ok());
  EXPECT_THAT(full.error().message, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    , Schedule,
    testing::Values(
        Refused{"direct", "tile x 8", "a tile of 8 is larger than x's 5 iterations"},
        Refused{"direct", "nonsense", "no step is called 'nonsense'"},
        Refused{"direct", "group 2", "changes what is computed"},
        Refused{"direct", "gpu_block y; vectorize co 4", "convs are compiled for CPUs only"},
        Refused{"direct", "interchange n ci; fuse y x",
                "the fused loop yx lies inside a reduction"},
        Refused{"direct", "vectorize x 4", "this algorithm vectorizes co, not x"},
        Refused{"direct", "split x 2; interchange x xi; interchange x ci", "of which it is a part"},
        Refused{"direct", "tile co 4096; tile n 2; tile y 7; tile x 5", "sums"},
        Refused{"direct", "split y 2; interchange n ky", "cover 8 iterations of y, which has 7"},
        Refused{"direct", "unroll co; unroll y; unroll x", "copies"},
        Refused{"depthwise", "vectorize co", "this algorithm vectorizes g, not co"},
        Refused{"depthwise", "tile g 16; vectorize gi",
                "a tile of 16 is larger than g's 12 iterations"},
        Refused{"packed", "tile co 24; vectorize coi 8", "a tile of 24 channels does not divide"},
        Refused{"pointwise", "tile y 2", "larger than y's 1 iterations"},
        // 7x5 in tiles of 2x2: 4 rows of 3.
        Refused{"winograd2", "interchange co y; split y 4; tile co 16",
                "y, the 16 places of a tile, is one loop outside the reduction"},
        Refused{"winograd2", "interchange n y; tile co 16", "lies inside y"},
        Refused{"winograd2", "split x 4; interchange co x; interchange co y; tile co 16",
                "a block of 4 tiles is not made of whole rows of 3"},
        Refused{"winograd2", "split x 6; split xi 3; interchange y xi; tile co 16",
                "x is split more than once outside y"},
        Refused{"winograd2", "split co 8; interchange coi y; tile coi 3", "3"}));

TEST(WinogradRow, TakesNoMoreChannelsThanTheStackHolds) {
  const KernelSpec spec = ConvCase{.input = {1, 8192, 4, 4}, .co = 16}.spec();
  std::string reason;
  EXPECT_FALSE(find_algorithm("winograd4")->applies(spec, &reason));
  EXPECT_THAT(reason, HasSubstr("bytes of scratch"));
}

}  // namespace
}  // namespace emulsion
