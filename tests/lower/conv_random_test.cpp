// Random convs under random steps: a schedule is refused, or computes the conv.
#include <gmock/gmock.h>

#include "base/random.h"
#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

class Draws {
 public:
  explicit Draws(uint64_t seed) : stream_(seed, "conv_random_test") {}
  int64_t of(std::initializer_list<int64_t> values) {
    return values.begin()[stream_.below(next_++, values.size())];
  }
  size_t below(size_t n) { return stream_.below(next_++, n); }

 private:
  RandomStream stream_;
  uint64_t next_ = 0;
};

ConvCase random_conv(Draws& draw) {
  ConvCase c;
  const int64_t groups = draw.of({1, 1, 1, 2, 3, 8});
  const bool depthwise = draw.of({0, 0, 0, 1}) == 1;
  const int64_t ci = draw.of({1, 3, 4, 8, 17, 32}), co = draw.of({1, 3, 4, 8, 16, 17, 33, 48});
  c.input = {draw.of({1, 1, 2}), ci * groups, draw.of({1, 5, 7, 13}), draw.of({1, 5, 7, 13})};
  c.co = co * groups;
  c.groups = static_cast<int>(groups);
  if (depthwise) {
    c.groups = static_cast<int>(c.input[1]);
    c.co = c.input[1];
  }
  const auto size = static_cast<int>(draw.of({1, 3, 3, 5}));
  c.kernel = {size, size};
  c.stride = {static_cast<int>(draw.of({1, 1, 2, 3})), static_cast<int>(draw.of({1, 1, 2}))};
  c.dilation = {static_cast<int>(draw.of({1, 1, 2})), 1};
  for (int& side : c.pad) side = size == 1 ? 0 : size - 1 + static_cast<int>(draw.of({0, 0, 1}));
  c.pad[0] += c.dilation[0] * (size - 1);  // so that the smallest image holds one kernel
  for (int& side : c.more_rim) side = static_cast<int>(draw.of({0, 0, 2}));
  for (int& side : c.output_rim) side = static_cast<int>(draw.of({0, 1}));
  c.parent_channels = draw.of({0, 5});
  c.residual = draw.of({0, 1}) == 1;
  if (draw.of({0, 1}) == 1) c.activation = Activation{Activation::Kind::relu};
  return c;
}

// Steps drawn from a small alphabet, those that do not apply left out.
std::string random_schedule(Draws& draw, KernelSpec spec) {
  static const char* alphabet[] = {
      "tile co 16",        "tile co 8",         "tile co 24",       "tile g 2",
      "tile g 8",          "tile x 2",          "tile x 3",         "split y 2",
      "tile y 2",          "vectorize coi",     "vectorize coi 8",  "vectorize co 4",
      "vectorize gi",      "vectorize g 4",     "unroll coi",       "unroll xi",
      "unroll kx",         "split ci 2",        "split ci 4",       "unroll cii",
      "interchange ci kx", "interchange ky kx", "interchange co y", "interchange co x",
      "interchange x y",   "interchange x ci",  "interchange n ky", "parallel y",
      "parallel co",       "parallel n"};
  std::string schedule;
  for (int tries = 0; tries < 14; ++tries) {
    spec.schedule =
        schedule + (schedule.empty() ? "" : "; ") + alphabet[draw.below(std::size(alphabet))];
    if (completed(spec).ok()) schedule = spec.schedule;
  }
  return schedule;
}

// Says first what it runs, so that a crash can be replayed.
void check_and_say(const ConvCase& c, const KernelSpec& spec) {
  fmt::print("{}: {}: {}\n", describe(c), spec.algorithm, spec.schedule);
  std::fflush(stdout);
  check_conv(spec);
}

class RandomConv : public testing::TestWithParam<int> {};

TEST_P(RandomConv, EqualsTheReferenceUnderRandomSteps) {
  Draws draw(GetParam());
  const ConvCase c = random_conv(draw);
  SCOPED_TRACE(describe(c));
  KernelSpec spec = c.spec();
  spec.target = *resolve_target("host");
  std::vector<const char*> applicable;
  for (const Algorithm& algorithm : algorithms()) {
    std::string reason;
    if (algorithm.applies(spec, &reason)) applicable.push_back(algorithm.name);
  }
  spec.algorithm = applicable[draw.below(applicable.size())];
  spec.schedule = random_schedule(draw, spec);
  const auto full = completed(spec);
  ASSERT_TRUE(full.ok()) << full.error().message;
  check_and_say(c, *full);
}

// Shapes that suit the templates' own tiles better.
ConvCase random_large_conv(Draws& draw) {
  ConvCase c;
  const int64_t groups = draw.of({1, 1, 2});
  c.input = {draw.of({1, 1, 2}), draw.of({16, 32, 96, 256}) * groups, draw.of({4, 7, 8, 14}),
             draw.of({4, 7, 8, 30})};
  c.co = draw.of({16, 24, 64, 256}) * groups;
  c.groups = static_cast<int>(groups);
  const auto size = static_cast<int>(draw.of({1, 3, 3, 3}));
  c.kernel = {size, size};
  c.stride = draw.of({0, 0, 1}) == 1 ? Extent2{2, 2} : Extent2{1, 1};
  for (int& side : c.pad) side = size / 2;
  c.parent_channels = draw.of({0, 5});
  c.residual = draw.of({0, 1}) == 1;
  return c;
}

TEST_P(RandomConv, EqualsTheReferenceUnderAnAlternativeOfItsTemplate) {
  Draws draw(1000 + GetParam());
  const ConvCase c = random_large_conv(draw);
  SCOPED_TRACE(describe(c));
  KernelSpec spec = c.spec();
  spec.target = *resolve_target("host");
  std::vector<KernelSpec> alternatives;
  for (const Algorithm& algorithm : algorithms()) {
    std::string reason;
    if (!algorithm.applies(spec, &reason)) continue;
    for (const std::string& schedule : algorithm.schedules(spec)) {
      alternatives.push_back(spec);
      alternatives.back().algorithm = algorithm.name;
      alternatives.back().schedule = schedule;
    }
  }
  const auto full = completed(alternatives[draw.below(alternatives.size())]);
  ASSERT_TRUE(full.ok()) << full.error().message;
  check_and_say(c, *full);
}

INSTANTIATE_TEST_SUITE_P(, RandomConv, testing::Range(0, 40));

}  // namespace
}  // namespace emulsion
