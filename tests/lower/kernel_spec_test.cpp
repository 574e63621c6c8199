// A kernel's key: what enters it, and that its text is read back. Choosing and refusing an
// algorithm.
#include "lower/kernel_spec.h"

#include <gmock/gmock.h>

#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

KernelSpec spec_of(const ConvCase& c) {
  KernelSpec spec = c.spec();
  spec.target = "x86-64-linux-avx-avx2-f16c-fma-sse41";
  return *completed(spec);
}

TEST(KernelSpec, TextRoundTrips) {
  KernelSpec spec = spec_of({.residual = true, .activation = Activation{Activation::Kind::relu}});
  spec.prefetch_next_kb = 64;
  const auto read = parse_kernel_spec(to_text(spec));
  ASSERT_TRUE(read.ok()) << read.error().message;
  EXPECT_EQ(to_text(*read), to_text(spec));
  EXPECT_EQ(kernel_name(*read), kernel_name(spec));
  EXPECT_THAT(kernel_name(spec), StartsWith("k_"));
}

TEST(KernelSpec, KeyIgnoresValuesAndParents) {
  KernelSpec spec = spec_of({});
  const std::string name = kernel_name(spec);
  std::get<Conv>(spec.op).weight = abstract_constant({16, 16, 3, 3});
  spec.inputs[0].parent = 7;
  spec.inputs[0].parent_offset = 128;
  EXPECT_EQ(kernel_name(spec), name);
}

TEST(KernelSpec, KeyHoldsAllElse) {
  const KernelSpec spec = spec_of({});
  std::vector<KernelSpec> others(7, spec);
  others[0].algorithm = "other";
  others[1].schedule += "; unroll ci";
  others[2].target = "x86-64-linux";
  others[3].inputs[0].strides[0] += 64;
  others[4].output.rim = {1, 1, 1, 1};
  std::get<Conv>(others[5].op).epilogue.activation = Activation{Activation::Kind::relu};
  others[6].prefetch_next_kb = 1;
  for (const KernelSpec& other : others) EXPECT_NE(kernel_name(other), kernel_name(spec));
}

TEST(KernelSpec, RefusesTextOfAnotherBuildAndDamagedText) {
  const std::string text = to_text(spec_of({}));
  EXPECT_FALSE(parse_kernel_spec("").ok());
  EXPECT_FALSE(
      parse_kernel_spec("kernel halide=1 lower=0\n" + text.substr(text.find('\n') + 1)).ok());
  EXPECT_FALSE(parse_kernel_spec(text + "colour blue\n").ok());
  for (const char* kb : {"", "0", "-1", "4097", "99999999999", "64x", "x"})
    EXPECT_FALSE(parse_kernel_spec(text + "prefetch_next " + kb + "\n").ok()) << kb;
  EXPECT_FALSE(parse_kernel_spec(text.substr(0, text.find("op "))).ok());
}

TEST(Completed, ChoosesTheAlgorithmThatIsExpectedToBeFastest) {
  EXPECT_EQ(spec_of({.input = {1, 64, 32, 32}, .co = 64}).algorithm, "winograd4");
  EXPECT_EQ(spec_of({.input = {1, 3, 32, 32}, .co = 64}).algorithm, "direct");
  EXPECT_EQ(spec_of({.stride = {2, 2}}).algorithm, "direct");
  EXPECT_EQ(spec_of({.input = {1, 128, 56, 56}, .co = 128, .stride = {2, 2}}).algorithm,
            "winograd2");
  EXPECT_EQ(spec_of({.input = {1, 512, 14, 14}, .co = 512, .stride = {2, 2}}).algorithm, "direct");
  EXPECT_EQ(spec_of({.kernel = {1, 1}, .pad = {0, 0, 0, 0}}).algorithm, "pointwise");
  EXPECT_EQ(spec_of({.kernel = {1, 1}, .stride = {2, 2}, .pad = {0, 0, 0, 0}}).algorithm, "direct");
  EXPECT_EQ(spec_of({.groups = 16}).algorithm, "depthwise");
  EXPECT_EQ(spec_of({.co = 32, .groups = 16}).algorithm, "packed");
  EXPECT_EQ(spec_of({.input = {1, 24, 8, 8}, .co = 24, .groups = 3}).algorithm, "direct");
}

// Where wide multiply-adds take turns, those that are saved count for more.
TEST(Completed, ChoosesForTheTargetsCores) {
  const auto algorithm = [](const char* target, ConvCase c, int kernel) {
    c.kernel = {kernel, kernel};
    if (kernel == 1) c.pad = {0, 0, 0, 0};
    KernelSpec spec = c.spec();
    spec.target = target;
    return completed(spec)->algorithm;
  };
  const char* zen4 =
      "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-f16c-fma-sse41";
  const char* others[] = {
      "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41",
      "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_sapphirerapids-avx512_skylake-"
      "avx512_zen4-f16c-fma-sse41",
      "x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-avx512_zen5-f16c-"
      "fma-sse41"};
  const auto expect = [&](const ConvCase& c, int kernel, const char* on_zen4,
                          const char* elsewhere) {
    EXPECT_EQ(algorithm(zen4, c, kernel), on_zen4);
    for (const char* target : others) EXPECT_EQ(algorithm(target, c, kernel), elsewhere) << target;
  };
  expect({.input = {1, 512, 7, 7}, .co = 512}, 3, "winograd2", "direct");
  expect({.input = {1, 256, 14, 14}, .co = 256}, 3, "winograd5", "winograd4");
  expect({.input = {1, 1024, 14, 14}, .co = 256}, 1, "strassen", "pointwise");
  expect({.input = {1, 512, 28, 28}, .co = 128}, 1, "strassen", "pointwise");
  expect({.input = {1, 512, 7, 7}, .co = 2048}, 1, "strassen", "pointwise");
}

TEST(Completed, ThreadsShareTilesWhereTheyCannotShareChannelsEvenly) {
  const auto schedule = [](int64_t co) {
    KernelSpec spec = ConvCase{.input = {1, 192, 8, 8}, .co = co}.spec();
    spec.target = "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41";
    spec.threads = 2;
    return completed(spec)->schedule;
  };
  EXPECT_THAT(schedule(48), HasSubstr("parallel x"));
  EXPECT_THAT(schedule(384), HasSubstr("parallel co"));
}

struct Refused {
  const char* algorithm;
  ConvCase conv;
  const char* why;
};

class Algorithms : public testing::TestWithParam<Refused> {};

TEST_P(Algorithms, RefuseWithTheReason) {
  KernelSpec spec = GetParam().conv.spec();
  spec.algorithm = GetParam().algorithm;
  spec.target = "x86-64-linux";
  const auto full = completed(spec);
  ASSERT_FALSE(full.ok());
  EXPECT_THAT(full.error().message, HasSubstr(GetParam().why));
}

INSTANTIATE_TEST_SUITE_P(
    , Algorithms,
    testing::Values(
        Refused{"fast", {}, "no algorithm is called 'fast'; there are: depthwise pointwise direct"},
        Refused{"pointwise", {}, "the kernel is 3x3, not 1x1"},
        Refused{"pointwise",
                {.kernel = {1, 1}, .stride = {2, 1}, .pad = {0, 0, 0, 0}},
                "the stride is 2x1"},
        Refused{"pointwise", {.kernel = {1, 1}}, "it has padding"},
        Refused{"winograd4", {.kernel = {1, 1}}, "the kernel is 1x1, not 3x3 to 7x7"},
        Refused{"winograd4", {.kernel = {7, 7}}, "4 outputs of 7 taps need 10 points (8 at most)"},
        Refused{
            "winograd4", {.kernel = {9, 9}, .stride = {2, 2}}, "the kernel is 9x9, not 3x3 to 7x7"},
        Refused{"winograd4", {.stride = {2, 1}}, "the stride is 2x1, not 1x1 or 2x2"},
        Refused{"winograd5", {.kernel = {5, 5}}, "the kernel is 5x5, not 3x3"},
        Refused{"winograd5", {.stride = {2, 2}}, "the stride is 2x2, not 1x1"},
        Refused{"strassen", {}, "the kernel is 3x3, not 1x1"},
        Refused{"strassen", {.kernel = {1, 1}}, "it has padding"},
        Refused{
            "strassen", {.kernel = {1, 1}, .pad = {0, 0, 0, 0}, .groups = 2}, "it has 2 groups"},
        Refused{"strassen",
                {.input = {1, 17, 7, 7}, .co = 16, .kernel = {1, 1}, .pad = {0, 0, 0, 0}},
                "17 -> 16 channels are not both even"},
        Refused{"depthwise", {}, "are not one each"},
        Refused{"depthwise", {.co = 32, .groups = 16}, "are not one each"},
        Refused{"direct",
                {.more_rim = {0, -1, 0, 0}},
                "the input's rim 1,0,1,1 is smaller than the padding"}));

TEST(ConvAlgorithms, RefuseImagesStoredRowMajor) {
  KernelSpec spec = ConvCase{}.spec();
  spec.output = row_major(spec.output.shape);
  spec.algorithm = "direct";
  spec.target = "x86-64-linux";
  EXPECT_THAT(completed(spec).error().message, HasSubstr("not stored channels innermost"));
}

TEST(Targets, AreNamedCanonicallyOrRefused) {
  EXPECT_EQ(*resolve_target("x86-64-linux-fma-avx2-avx-sse41-f16c-no_asserts"),
            "x86-64-linux-avx-avx2-f16c-fma-sse41");
  EXPECT_THAT(resolve_target("host").value(), HasSubstr("-64-"));
  EXPECT_EQ(*resolve_target(*resolve_target("host")), *resolve_target("host"));
  EXPECT_THAT(resolve_target("").error().message, HasSubstr("empty"));
  EXPECT_THAT(resolve_target("vax").error().message, HasSubstr("not a Halide target"));
  EXPECT_THAT(resolve_target("x86-64-linux,x86-64-linux-avx").error().message,
              HasSubstr("not a list"));
  EXPECT_THAT(resolve_target("x86-32-linux").error().message, HasSubstr("64-bit"));
  EXPECT_THAT(resolve_target("x86-64-linux-cuda").error().message,
              HasSubstr("cuda is not supported"));
  EXPECT_THAT(resolve_target("hexagon-32-noos-hvx_128").error().message, HasSubstr("x86 and arm"));
}

TEST(Targets, HaveTheirVectorWidth) {
  EXPECT_EQ(vector_width("x86-64-linux-avx512_skylake"), 16);
  EXPECT_EQ(vector_width("x86-64-linux-avx-avx2-f16c-fma-sse41"), 8);
  EXPECT_EQ(vector_width("x86-64-linux"), 4);
  EXPECT_EQ(vector_width("arm-64-linux"), 4);
}

}  // namespace
}  // namespace emulsion
