// The table of times: alternatives, what whole networks correct, and kernels that fail.
#include "autoschedule/layer_times.h"

#include <gtest/gtest.h>

#include <cmath>

namespace emulsion {
namespace {

KernelSpec spec(const std::string& name, const std::string& schedule = "") {
  Conv conv;
  conv.weight = abstract_constant({1, 1, 1, 1});
  return {conv, {}, {}, name, schedule, "x86-64-linux"};
}

KernelTime cold(double ms) {
  return {ms / 2, ms / 2, ms, ms, 10};
}

// One slot whose first rewrite replaces kernel 0 by 2 and 3, and whose second one replaces it by
// 4; kernel 1 is the rest.
SpaceKernels example() {
  SpaceKernels kernels;
  for (const char* name : {"a", "b", "c", "d", "e"}) kernels.specs.push_back(spec(name));
  kernels.original = {0, 1, 1};
  kernels.slots = {{{}, {{2, 3}, {0}}, {{4}, {0}}}};
  kernels.slot_calls = {0};
  return kernels;
}

class LayerTimesTest : public ::testing::Test {
 protected:
  LayerTimesTest() {
    const double ms[] = {8, 1, 2, 3, 4};
    for (int i = 0; i < 5; ++i) times_.add(i, times_.kernels().specs[i], cold(ms[i]));
  }
  LayerTimes times_{example()};
};

TEST_F(LayerTimesTest, TakeWhatAChoiceAddsAndRemoves) {
  const AdditiveTable table = times_.table();
  EXPECT_EQ(table.rest_ms, 10);
  EXPECT_EQ(table.ms({0}), 10);
  EXPECT_EQ(table.ms({1}), 7);
  EXPECT_EQ(table.ms({2}), 6);
}

TEST_F(LayerTimesTest, TakeTheBestWayToComputeAKernel) {
  times_.add(0, spec("a", "faster"), cold(5));
  times_.add(2, spec("c", "slower"), cold(9));
  EXPECT_EQ(times_.best(0)->schedule, "faster");
  EXPECT_EQ(times_.best(2)->schedule, "");
  EXPECT_EQ(times_.best(kernel_name(spec("a")))->schedule, "faster");
  // A faster original gains less from the same rewrites.
  EXPECT_EQ(times_.table().rest_ms, 7);
  EXPECT_EQ(times_.table().ms({1}), 7);
}

TEST_F(LayerTimesTest, ExpectInputsToBeNear) {
  KernelSpec reads = spec("reads");
  reads.inputs.push_back({});
  reads.inputs[0].shape = {1, 3, 1, 1};  // three inputs, one weight
  times_.add(4, reads, {1, 1, 2, 2, 10});
  EXPECT_EQ(times_.ms(4), 1.25);
}

TEST_F(LayerTimesTest, AreCorrectedByWholeNetworks) {
  // Kernels 0 and 1 take half as long again inside, and the network a tenth more than its kernels.
  NetworkRecord network;
  network.kernels_ms = {{kernel_name(spec("a")), 12}, {kernel_name(spec("b")), 1.5}};
  network.parts_ms = 15;
  network.min_ms = 16.5;
  times_.add(network);
  EXPECT_NEAR(times_.table().rest_ms, 16.5, 1e-9);
  EXPECT_NEAR(times_.table().ms({2}), (3 + 4 * 1.5) * 1.1, 1e-9);
  // A disturbed measurement does not make it worse.
  for (auto& [name, ms] : network.kernels_ms) ms *= 3;
  network.min_ms *= 9;
  network.parts_ms *= 3;
  times_.add(network);
  EXPECT_NEAR(times_.table().rest_ms, 16.5, 1e-9);
}

TEST(LayerTimes, OfAKernelThatFailsAreInfinite) {
  LayerTimes times(example());
  for (const int i : {0, 1, 4}) times.add(i, times.kernels().specs[i], cold(1));
  EXPECT_FALSE(times.best(2));
  EXPECT_TRUE(std::isinf(times.table().ms({1})));
  EXPECT_EQ(times.table().ms({2}), 3);
}

}  // namespace
}  // namespace emulsion
