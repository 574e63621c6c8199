// What templates make of layers: schedules that are valid, and of the shapes that they are meant
// for.
#include "lower/conv_templates.h"

#include <gmock/gmock.h>

#include "lower/conv_costs.h"
#include "lower/schedule.h"
#include "network/op.h"

namespace emulsion {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* k_avx512 = "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41";

// The fastest schedule of a 1x1 conv on 4x4 pixels.
std::string fastest(int64_t ci, int64_t co) {
  Conv conv;
  conv.weight = abstract_constant({co, ci, 1, 1});
  conv.bias = abstract_constant({co});
  const Machine machine = machine_of(k_avx512);
  return conv_schedules(conv_nest(conv, {1, ci, 4, 4}), machine, 1).front().steps;
}

TEST(ConvTemplates, TakeLargeWeightsInPartsThatDivideTheInputChannels) {
  EXPECT_THAT(fastest(2048, 192), HasSubstr("split ci 128; interchange y ci"));
  EXPECT_THAT(fastest(2160, 192), HasSubstr("split ci 120; interchange y ci"));
  EXPECT_THAT(fastest(1968, 192), HasSubstr("split ci 164; interchange y ci"));
  // 2 and a prime.
  EXPECT_THAT(fastest(2018, 192), Not(HasSubstr("interchange y ci")));
}

// The fastest schedule of a 1x1 conv to 192 channels with a prologue.
std::string fastest_with_prologue(int64_t ci, int64_t size) {
  Conv conv;
  conv.weight = abstract_constant({192, ci, 1, 1});
  const Nest nest = conv_nest(conv, {1, ci, size, size});
  return pointwise_prologue_schedules(nest, machine_of(k_avx512), 1).front().steps;
}

TEST(ConvTemplates, DoNotComputeAProloguesValuesForEachTileOfChannels) {
  // Its weights stay near while all pixels pass.
  EXPECT_THAT(fastest_with_prologue(720, 28), HasSubstr("interchange co x"));
  EXPECT_THAT(fastest_with_prologue(1344, 14), HasSubstr("interchange co x"));
  // Weights come from afar, and few pixels share them.
  EXPECT_THAT(fastest_with_prologue(1344, 7), HasSubstr("split co 96"));
}

// The fastest schedule of a depthwise conv on square images.
std::string fastest_depthwise(int64_t channels, int64_t size, int64_t kernel) {
  Conv conv;
  conv.weight = abstract_constant({channels, 1, kernel, kernel});
  conv.groups = static_cast<int>(channels);
  return depthwise_schedules(conv_nest(conv, {1, channels, size, size}), machine_of(k_avx512), 1)
      .front()
      .steps;
}

TEST(ConvTemplates, ReadWholePixelsForDepthwiseConvsWhereTheyStayNear) {
  EXPECT_THAT(fastest_depthwise(96, 56, 3), HasSubstr("interchange g x"));
  // Too many channels, too many taps, too narrow.
  EXPECT_THAT(fastest_depthwise(960, 56, 3), Not(HasSubstr("interchange g x")));
  EXPECT_THAT(fastest_depthwise(96, 56, 7), Not(HasSubstr("interchange g x")));
  EXPECT_THAT(fastest_depthwise(96, 18, 3), Not(HasSubstr("interchange g x")));
}

TEST(ConvTemplates, CountTheLastTileOfChannelsWholeWhereWeightsComeInParts) {
  // Three vectors at a time would leave one.
  EXPECT_THAT(fastest(2048, 192), HasSubstr("tile co 48"));
  EXPECT_THAT(fastest(2048, 160), HasSubstr("tile co 32"));
}

TEST(ConvTemplates, MakeValidSchedulesOfAllKindsOfChannels) {
  for (const int64_t ci : {17, 48, 130, 150, 256, 450, 512, 1026, 1968})
    for (const auto& [kernel, prologue, co] :
         {std::tuple{1, false, 208}, {3, false, 208}, {1, true, 208}, {1, true, 1056}})
      for (const int stride : {1, 2})
        for (const int64_t size : {4, 7, 14})
          for (const int threads : {1, 2, 5}) {
            Conv conv;
            conv.pad = {kernel / 2, kernel / 2, kernel / 2, kernel / 2};
            conv.stride = {stride, stride};
            conv.weight = abstract_constant({co, ci, kernel, kernel});
            const Nest nest = conv_nest(conv, {1, ci, size, size});
            const Machine machine = machine_of(k_avx512);
            for (const CostedSchedule& s :
                 prologue ? pointwise_prologue_schedules(nest, machine, threads)
                          : conv_schedules(nest, machine, threads)) {
              const auto schedule = conv_schedule(nest, s.steps, ScheduleRules{});
              EXPECT_TRUE(schedule.ok()) << ci << " channels, " << kernel << ", " << size << ": "
                                         << s.steps << ": " << schedule.error().message;
            }
          }
}

}  // namespace
}  // namespace emulsion
