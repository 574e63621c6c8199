#include "compile/cost_model.h"

#include <gtest/gtest.h>

#include "compile/alternatives.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

// A 3x3 conv with 64 channels.
KernelSpec conv_spec(int64_t size) {
  Conv conv;
  conv.weight = abstract_constant({64, 64, 3, 3});
  conv.pad = {1, 1, 1, 1};
  KernelSpec spec;
  spec.op = conv;
  spec.inputs = {channels_last({1, 64, size, size}, conv.pad)};
  spec.output = channels_last({1, 64, size, size});
  spec.target = *resolve_target("x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41");
  spec.algorithm = "direct";
  return *completed(spec);
}

// 16 floats by 2 FMAs at 3 GHz, and 10 GB/s.
CostModel model() {
  return CostModel({192, 10}, 1, {.vector = 16});
}

TEST(CostModel, IsARooflineOfCyclesAndOfBytesFromMemory) {
  const KernelSpec spec = conv_spec(8);
  constexpr double k_weights_ms = (64 * 64 * 9 + 64) * 4 / 10e6;  // with biases
  EXPECT_NEAR(model().roofline_ms(spec, 3e6), 1, 1e-9);
  EXPECT_NEAR(model().roofline_ms(spec, 3e3), k_weights_ms, 1e-9);
  EXPECT_NEAR(CostModel({384, 10}, 2, {.vector = 16}).roofline_ms(spec, 3e6), 1, 1e-9);
  EXPECT_NEAR(CostModel({96, 10}, 1, {.vector = 16, .core = {.fmas = 1}}).roofline_ms(spec, 3e6), 1,
              1e-9);
}

TEST(CostModel, IsCorrectedByWhatWasMeasured) {
  KernelSpec direct = conv_spec(8), winograd = direct;
  winograd.algorithm = "winograd2";
  CostModel corrected = model();
  EXPECT_EQ(corrected.expected_ms(direct, 1), 1);
  for (int i = 0; i < 100; ++i) corrected.learn(way_of(winograd), 1, 1.5);
  EXPECT_NEAR(corrected.expected_ms(winograd, 1), 1.5, 0.01);
  // The others err as all do.
  EXPECT_NEAR(corrected.expected_ms(direct, 1), 1.5, 0.01);
  for (int i = 0; i < 100; ++i) corrected.learn(way_of(direct), 1, 0.5);
  EXPECT_NEAR(corrected.expected_ms(winograd, 1), 1.5, 0.05);
  EXPECT_NEAR(corrected.expected_ms(direct, 1), 0.5, 0.05);
}

std::string first_algorithm(const CostModel& model) {
  const KernelSpec spec = conv_spec(56);
  // The kernel itself is before them.
  return alternatives(spec, model, {}).at(1).spec.algorithm;
}

TEST(Alternatives, AreInTheOrderOfTheCorrectedModel) {
  CostModel corrected = model();
  EXPECT_EQ(first_algorithm(corrected), "winograd4");
  for (int i = 0; i < 20; ++i) {
    corrected.learn("winograd4", 1, 4);
    corrected.learn("winograd2", 1, 4);
    corrected.learn("winograd5", 1, 4);
    corrected.learn("direct", 1, 0.5);
  }
  EXPECT_EQ(first_algorithm(corrected), "direct");
  // What is expected to be twice as slow is left out.
  for (const Alternative& alternative : alternatives(conv_spec(56), corrected, {}))
    EXPECT_EQ(alternative.spec.algorithm, "direct");
}

TEST(Alternatives, SayWhatTheModelExpectsOfEachAlgorithmsFirstSchedule) {
  std::map<std::string, int> expected, all;
  for (const Alternative& alternative : alternatives(conv_spec(8), model(), {})) {
    ++all[alternative.spec.algorithm];
    if (alternative.roofline_ms > 0) ++expected[alternative.spec.algorithm];
  }
  ASSERT_GT(all.size(), 1);
  for (const auto& [algorithm, count] : all) EXPECT_EQ(expected[algorithm], 1) << algorithm;
}

}  // namespace
}  // namespace emulsion
