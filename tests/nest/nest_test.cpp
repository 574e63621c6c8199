// A conv's loop nest, and what each step does to it or refuses. Small nests are checked by walking
// them: after any steps, the loops still visit every point of the domain.
#include "nest/nest.h"

#include <gmock/gmock.h>

#include <set>

namespace emulsion {
namespace {

using testing::HasSubstr;

Nest small_nest(int64_t co = 8, int64_t ci = 4, int64_t size = 7, int groups = 1) {
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  conv.groups = groups;
  conv.weight = abstract_constant({co, ci / groups, 3, 3});
  return conv_nest(conv, {1, ci, size, size});
}

std::string loops(const Nest& nest) {
  static constexpr const char* marks[] = {"", "u", "v", "p", "b", "t"};
  std::string text;
  for (const Loop& loop : nest.loops)
    text += fmt::format("{}{}{}{}", text.empty() ? "" : " ", loop.name, loop.extent,
                        marks[static_cast<int>(loop.kind)]);
  return text;
}

TEST(ConvNest, HasTheDomainAndAccessesOfTheConv) {
  Conv conv;
  conv.stride = {2, 1};
  conv.dilation = {1, 2};
  conv.pad = {1, 2, 0, 2};
  conv.groups = 2;
  conv.weight = abstract_constant({6, 4, 3, 3});
  EXPECT_EQ(to_text(conv_nest(conv, {5, 8, 9, 11})),
            "nest n=5 g=2 co=3 ci=4 y=4 x=11 ky=3 kx=3\n"
            "  for n in 5 of n by 1\n"
            "  for g in 2 of g by 1\n"
            "  for co in 3 of co by 1\n"
            "  for y in 4 of y by 1\n"
            "  for x in 11 of x by 1\n"
            "  for ci in 4 of ci by 1\n"
            "  for ky in 3 of ky by 1\n"
            "  for kx in 3 of kx by 1\n"
            "  in[n][4*g+ci][2*y+ky-1][x+2*kx-2]\n"
            "  weight[3*g+co][ci][ky][kx]\n"
            "  out[n][3*g+co][y][x]\n");
}

TEST(ConvNest, CountsMultipliesAndWeights) {
  EXPECT_EQ(small_nest().multiplies(), 8 * 4 * 9 * 49);
  EXPECT_EQ(small_nest().weights(), 8 * 4 * 9);
}

struct Applied {
  const char* steps;
  const char* loops;
};

class Applies : public testing::TestWithParam<Applied> {};

TEST_P(Applies, ToTheLoops) {
  const auto nest = apply(small_nest(), *parse_steps(GetParam().steps));
  ASSERT_TRUE(nest.ok()) << nest.error().message;
  EXPECT_EQ(loops(*nest), GetParam().loops);
}

INSTANTIATE_TEST_SUITE_P(
    , Applies,
    testing::Values(Applied{"", "n1 g1 co8 y7 x7 ci4 ky3 kx3"},
                    Applied{"split co 4", "n1 g1 co2 coi4 y7 x7 ci4 ky3 kx3"},
                    Applied{"split x 4", "n1 g1 co8 y7 x2 xi4 ci4 ky3 kx3"},
                    Applied{"tile x 4", "n1 g1 co8 y7 x2 ci4 ky3 kx3 xi4"},
                    Applied{"tile co 16", "n1 g1 co1 y7 x7 ci4 ky3 kx3 coi16"},
                    Applied{"tile x 7; unroll xi", "n1 g1 co8 y7 x1 ci4 ky3 kx3 xi7u"},
                    Applied{"vectorize co", "n1 g1 y7 x7 ci4 ky3 kx3 co8v"},
                    Applied{"vectorize co 4", "n1 g1 co2 y7 x7 ci4 ky3 kx3 coi4v"},
                    Applied{"tile co 4; vectorize coi 2; tile x 2",
                            "n1 g1 co2 y7 x4 ci4 ky3 kx3 coi2 xi2 coii2v"},
                    Applied{"split ci 2; unroll cii", "n1 g1 co8 y7 x7 ci2 cii2u ky3 kx3"},
                    Applied{"interchange co y; parallel y", "n1 g1 y7p co8 x7 ci4 ky3 kx3"},
                    Applied{"interchange ci kx; interchange kx ky", "n1 g1 co8 y7 x7 ky3 kx3 ci4"},
                    Applied{"split co 4; split co 2", "n1 g1 co1 coii2 coi4 y7 x7 ci4 ky3 kx3"},
                    Applied{"split co 4; fuse co coi", "n1 g1 co8 y7 x7 ci4 ky3 kx3"},
                    Applied{"split co 3; fuse co coi", "n1 g1 co8 y7 x7 ci4 ky3 kx3"},
                    Applied{"split ci 2; fuse ci cii", "n1 g1 co8 y7 x7 ci4 ky3 kx3"},
                    Applied{"fuse co y; parallel coy", "n1 g1 coy56p x7 ci4 ky3 kx3"},
                    Applied{"fuse n g; fuse ng co", "ngco8 y7 x7 ci4 ky3 kx3"},
                    Applied{"tile co 4; fuse co y; fuse coy x", "n1 g1 coyx98 ci4 ky3 kx3 coi4"},
                    Applied{"split co 4; gpu_block co; gpu_thread coi",
                            "n1 g1 co2b coi4t y7 x7 ci4 ky3 kx3"},
                    Applied{"gpu_block y; tile x 2; gpu_thread x; vectorize co 4",
                            "n1 g1 co2 y7b x4t ci4 ky3 kx3 xi2 coi4v"}));

struct Refused {
  const char* steps;
  const char* why;
};

class Refuses : public testing::TestWithParam<Refused> {};

TEST_P(Refuses, WithTheReason) {
  const auto nest = apply(small_nest(), *parse_steps(GetParam().steps));
  ASSERT_FALSE(nest.ok()) << loops(*nest);
  EXPECT_THAT(nest.error().message, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    , Refuses,
    testing::Values(Refused{"tile z 2", "there is no loop 'z'; the loops are n g co y x ci ky kx"},
                    Refused{"interchange x xi", "there is no loop 'xi'"},
                    Refused{"tile x 8", "a tile of 8 is larger than x's 7 iterations"},
                    Refused{"tile x 3; tile x 3", "a tile of 9 is larger than x's 7 iterations"},
                    Refused{"split ci 3", "3 does not divide loop ci's 4 iterations"},
                    Refused{"tile x 4; split xi 3", "3 does not divide loop xi's 4 iterations"},
                    Refused{"split co 100000", "far larger"},
                    Refused{"tile ci 2", "a reduction is split, not tiled"},
                    Refused{"vectorize ci 4", "a reduction is not vectorized"},
                    Refused{"vectorize co 4; vectorize x 4", "loop coi is already vectorized"},
                    Refused{"unroll x; unroll x", "already unrolled"},
                    Refused{"unroll x; tile x 2", "already unrolled"},
                    Refused{"parallel ci", "not parallel"},
                    Refused{"interchange x ky; parallel x", "not parallel"},
                    Refused{"parallel y; parallel co", "loop y is already parallel"},
                    Refused{"parallel y; interchange y ky", "would lie inside a reduction"},
                    Refused{"vectorize co 4; interchange coi x", "stays innermost"},
                    Refused{"fuse co x", "loop x does not lie directly inside loop co"},
                    Refused{"fuse y co", "loop co does not lie directly inside loop y"},
                    Refused{"fuse x ci", "a reduction is fused with its own parts only"},
                    Refused{"fuse ci ky", "a reduction is fused with its own parts only"},
                    Refused{"parallel y; fuse y x", "loop y is already"},
                    Refused{"split co 4; interchange co coi; fuse coi co", "not the inner part"},
                    Refused{"fuse y x; tile yx 2", "loop yx is fused"},
                    Refused{"fuse y x; vectorize yx", "a fused loop is not vectorized"},
                    Refused{"gpu_block ci", "not mapped to a GPU"},
                    Refused{"gpu_block y; gpu_block y", "already"},
                    Refused{"gpu_thread y", "threads lie inside blocks"},
                    Refused{"gpu_block x; gpu_thread y", "threads lie inside blocks"},
                    Refused{"gpu_block co; gpu_thread y; gpu_block x", "iterations are threads"},
                    Refused{"parallel co; gpu_block y", "loop co is parallel on the CPU"},
                    Refused{"gpu_block co; parallel y", "loop co is already parallel"},
                    Refused{"gpu_block n; gpu_block g; gpu_block co; gpu_block y",
                            "3 loops are mapped so already"},
                    Refused{"group 2", "it changes what is computed"},
                    Refused{"unroll co 2", "it changes what is computed"}));

TEST(GpuSteps, ABlockHasNoMoreThreadsThanAGpuTakes) {
  const auto nest = apply(small_nest(4096), *parse_steps("split co 2048; gpu_block co"));
  const auto threads = apply(*nest, *parse_steps("gpu_thread coi"));
  ASSERT_FALSE(threads.ok());
  EXPECT_THAT(threads.error().message, HasSubstr("2048 threads is too large (1024 at most)"));
}

// How far iteration i of a loop is along a dimension.
int64_t step_of(const Loop& loop, int64_t i, const std::string& iterator) {
  if (loop.fused.empty()) return loop.iterator == iterator ? i * loop.stride : 0;
  int64_t value = 0;
  for (auto part = loop.fused.rbegin(); part != loop.fused.rend(); ++part) {
    value += step_of(*part, i % part->extent, iterator);
    i /= part->extent;
  }
  return value;
}

// Every point of the domain that the loops visit, points beyond it left out.
std::set<std::vector<int64_t>> visited(const Nest& nest) {
  const std::vector<std::pair<std::string, int64_t>> domain{
      {"co", nest.co}, {"x", nest.x}, {"ci", nest.ci}};
  std::set<std::vector<int64_t>> points;
  std::vector<int64_t> index(nest.loops.size(), 0);
  while (true) {
    std::vector<int64_t> point;
    bool inside = true;
    for (const auto& [iterator, extent] : domain) {
      int64_t value = 0;
      for (size_t i = 0; i < index.size(); ++i) value += step_of(nest.loops[i], index[i], iterator);
      inside = inside && value < extent;
      point.push_back(value);
    }
    if (inside) points.insert(point);
    size_t i = index.size();
    while (i > 0 && ++index[i - 1] == nest.loops[i - 1].extent) index[--i] = 0;
    if (i == 0) return points;
  }
}

// All lists of up to three program steps on the loops of a small nest, tried one after the other.
TEST(ProgramSteps, KeepEveryPointOfTheDomain) {
  Conv conv;
  conv.weight = abstract_constant({6, 4, 1, 1});
  const Nest start = conv_nest(conv, {1, 4, 1, 5});
  std::vector<Step> alphabet;
  for (const char* text :
       {"split co 2",       "tile co 4",        "split co 3",         "tile x 2",
        "tile x 3",         "split ci 2",       "split coi 2",        "tile xi 2",
        "interchange co x", "interchange x ci", "interchange coi ci", "vectorize co 4",
        "vectorize coi",    "unroll xi",        "parallel co",        "fuse co coi",
        "fuse co x",        "fuse x xi",        "fuse ci cii",        "gpu_block x",
        "gpu_thread coi"})
    alphabet.push_back(parse_steps(text)->front());
  int applied = 0;
  const auto visit = [&](const auto& self, const Nest& nest, int depth) -> void {
    EXPECT_EQ(visited(nest).size(), 6u * 5u * 4u) << to_text(nest);
    EXPECT_EQ(nest.multiplies(), start.multiplies());
    if (depth == 0) return;
    for (const Step& step : alphabet)
      if (const auto next = apply(nest, step); next.ok()) {
        ++applied;
        self(self, *next, depth - 1);
      }
  };
  visit(visit, start, 3);
  EXPECT_GT(applied, 500);
}

}  // namespace
}  // namespace emulsion
