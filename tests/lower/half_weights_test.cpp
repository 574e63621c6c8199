// Weights stored in half precision: kernels compute with them what they would with rounded weights,
// and nobody takes them where they cannot be converted.
#include <gmock/gmock.h>

#include <set>

#include "base/file.h"
#include "base/half.h"
#include "base/process.h"
#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "op_harness.h"

namespace emulsion {
namespace {

using testing::HasSubstr;
using testing::Not;

const char* const k_avx2 = "x86-64-linux-avx-avx2-f16c-fma-sse41";
const char* const k_avx512 = "x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41";

KernelSpec halved(KernelSpec spec, const std::string& algorithm, const std::string& target) {
  spec.algorithm = algorithm;
  spec.target = *resolve_target(target);
  spec.weights = ElementType::f16;
  const Result<KernelSpec> result = completed(std::move(spec));
  EXPECT_TRUE(result.ok()) << result.error().message;
  return *result;
}

// The same conv with weights that half precision holds exactly, so that the error is f32's own.
KernelSpec with_rounded_weights(KernelSpec spec) {
  auto& conv = std::get<Conv>(spec.op);
  Tensor rounded = *conv.weight;
  for (float& w : rounded.data) w = from_half(to_half(w));
  conv.weight = std::make_shared<const Tensor>(std::move(rounded));
  return spec;
}

class HalfWeights : public testing::TestWithParam<const char*> {};

TEST_P(HalfWeights, AreComputedWithAsRoundedWeightsAre) {
  const Activation relu{Activation::Kind::relu};
  const std::pair<const char*, ConvCase> cases[] = {
      {"direct", {.input = {1, 12, 7, 9}, .co = 21, .residual = true, .activation = relu}},
      {"direct", {.input = {2, 32, 4, 4}, .co = 64, .groups = 2}},
      {"direct", {.input = {1, 3, 12, 12}, .co = 40, .kernel = {5, 5}, .stride = {2, 2}}},
      {"pointwise", {.input = {1, 24, 6, 5}, .co = 35, .kernel = {1, 1}, .pad = {0, 0, 0, 0}}},
      {"packed", {.input = {1, 32, 7, 5}, .co = 32, .groups = 16}},
  };
  for (const auto& [algorithm, c] : cases)
    check_conv(halved(with_rounded_weights(c.spec()), algorithm, GetParam()), 1e-5);
}

// Of weights that half precision does not hold: there is an error, and it is small enough.
TEST_P(HalfWeights, StayWithinTheBoundOfEveryAlgorithm) {
  std::set<std::string> left;
  for (const Algorithm& algorithm : algorithms())
    if (algorithm.half_error > 0) left.insert(algorithm.name);
  left.erase("dense");  // in a test of its own
  const std::pair<const char*, ConvCase> cases[] = {
      {"direct", {.input = {1, 13, 7, 9}, .co = 21, .residual = true}},
      {"direct", {.input = {1, 3, 13, 5}, .co = 17, .kernel = {5, 5}, .stride = {2, 3}}},
      {"packed", {.input = {1, 48, 7, 5}, .co = 48, .groups = 12}},
      {"packed", {.input = {2, 32, 5, 5}, .co = 32, .stride = {2, 1}, .groups = 16}},
      {"pointwise", {.input = {1, 48, 5, 7}, .co = 17, .kernel = {1, 1}, .pad = {0, 0, 0, 0}}},
      {"winograd2", {.input = {1, 32, 9, 7}, .co = 24}},
      {"winograd2", {.input = {1, 32, 9, 7}, .co = 24, .stride = {2, 2}}},
      {"winograd4", {.input = {1, 32, 9, 7}, .co = 24}},
      {"winograd4", {.input = {1, 32, 9, 7}, .co = 24, .stride = {2, 2}}},
      {"winograd4", {.input = {1, 32, 9, 7}, .co = 24, .kernel = {5, 5}}},
      {"winograd4", {.input = {1, 32, 9, 7}, .co = 24, .kernel = {7, 7}, .stride = {2, 2}}},
      {"winograd5", {.input = {1, 32, 9, 7}, .co = 24}},
      {"winograd6", {.input = {1, 32, 9, 7}, .co = 24}},
      {"strassen", {.input = {1, 48, 5, 7}, .co = 18, .kernel = {1, 1}, .pad = {0, 0, 0, 0}}},
  };
  for (const auto& [algorithm, c] : cases) {
    const KernelSpec half = halved(c.spec(), algorithm, GetParam());
    KernelSpec single = half;
    single.weights = ElementType::f32;
    const double error = conv_error(half);
    EXPECT_LE(error, error_bound(half)) << algorithm;
    EXPECT_GT(error, 50 * conv_error(single)) << algorithm;
    left.erase(algorithm);
  }
  EXPECT_THAT(left, testing::IsEmpty()) << "algorithms that no case is of";
}

INSTANTIATE_TEST_SUITE_P(, HalfWeights, testing::Values("host", k_avx2));

// The error of rows times 37 x 50 weights in half precision.
double dense_error(int64_t rows, bool rounded) {
  Tensor weight = noise({37, 50}, 5);
  if (rounded)
    for (float& w : weight.data) w = from_half(to_half(w));
  const Dense dense{std::make_shared<const Tensor>(std::move(weight)), noise_constant({37}, 6), {}};
  double error = 1;
  check_op(dense, {{rows, 50}}, Layout::row_major, Layout::row_major, "host", ElementType::f16,
           &error);
  return error;
}

TEST(HalfWeightsOfDense, AreComputedWithAsRoundedWeightsAre) {
  for (const int64_t rows : {1, 3}) EXPECT_LE(dense_error(rows, true), 1e-5);
}

TEST(HalfWeightsOfDense, StayWithinTheBound) {
  for (const int64_t rows : {1, 3}) EXPECT_GT(dense_error(rows, false), 5e-5);
}

// One conversion with a memory operand for each vector, and no call.
TEST(HalfWeightsKernel, ConvertsAsItLoads) {
  const ConvCase c{.input = {1, 64, 14, 14}, .co = 64};
  for (const auto& [target, vector] : {std::pair(k_avx2, "ymm"), std::pair(k_avx512, "zmm")}) {
    KernelSpec spec = halved(c.spec(), "direct", target);
    const TemporaryDirectory directory;
    const std::string object = directory.path() / "kernel.o";
    const Status status = compile_to_object(spec, object);
    ASSERT_TRUE(status.ok()) << status.error().message;
    const auto text = run_process({"objdump", "-d", "--no-show-raw-insn", object});
    ASSERT_TRUE(text.ok()) << text.error().message;
    EXPECT_THAT(text->output, testing::ContainsRegex(std::string("vcvtph2ps .*\\(.*%") + vector));
    EXPECT_THAT(text->output, Not(HasSubstr("extendhfsf")));
  }
}

TEST(HalfWeightsKernel, HasAKeyOfItsOwn) {
  KernelSpec spec = halved(ConvCase{}.spec(), "direct", "host");
  KernelSpec single = spec;
  single.weights = ElementType::f32;
  EXPECT_NE(kernel_name(spec), kernel_name(single));
  EXPECT_EQ(parse_kernel_spec(to_text(spec))->weights, ElementType::f16);
  EXPECT_EQ(parse_kernel_spec(to_text(single))->weights, ElementType::f32);
}

TEST(HalfWeightsKernel, IsRefusedWhereNothingConverts) {
  const auto message = [](const std::string& algorithm, const char* target, const ConvCase& c) {
    KernelSpec spec = c.spec();
    spec.algorithm = algorithm;
    spec.target = target;
    spec.weights = ElementType::f16;
    const Result<KernelSpec> result = completed(spec);
    return result.ok() ? std::string() : result.error().message;
  };
  EXPECT_THAT(message("", "x86-64-linux-avx-avx2-fma-sse41", {}), HasSubstr("has no f16c"));
  EXPECT_THAT(message("", "arm-64-linux", {}), HasSubstr("has no f16c"));
  EXPECT_THAT(message("depthwise", k_avx2, {.co = 16, .groups = 16}),
              HasSubstr("algorithm depthwise reads f32 only"));
}

TEST(HalfWeightsPacked, TakeHalfTheBytes) {
  const KernelSpec spec = halved(ConvCase{}.spec(), "direct", k_avx2);
  const std::vector<PackedConstant> packed = pack_constants(spec, spec.op);
  EXPECT_EQ(stored_bytes(packed[0]).size(), 2 * packed[0].data.size());
  EXPECT_EQ(stored_bytes(packed[1]).size(), 4 * packed[1].data.size());
}

TEST(HalfWeightsPacked, AreNotThereForWeightsThatAreTooLarge) {
  ConvCase c;
  Conv conv = c.conv();
  EXPECT_TRUE(half_holds(conv));
  Tensor large = *conv.weight;
  // 65504 is the largest number; a sum of Winograd's may be four times as large as a weight.
  for (const auto& [weight, holds] : {std::pair{-1e5f, false}, {2e4f, false}, {1.6e4f, true}}) {
    large.data[5] = weight;
    conv.weight = std::make_shared<const Tensor>(large);
    EXPECT_EQ(half_holds(conv), holds) << weight;
  }
  EXPECT_FALSE(half_holds(Pool{}));
}

}  // namespace
}  // namespace emulsion
