#include "kernels/time_kernel.h"

#include <gmock/gmock.h>

#include "base/process.h"
#include "kernels_for_tests.h"

namespace emulsion {
namespace {

class TimeKernelTest : public ::testing::Test {
 protected:
  TemporaryDirectory folder_;
  KernelCache cache_{folder_.path(), EMULSION_KERNEL_WORKER, 2};
};

TEST_F(TimeKernelTest, times_are_positive_and_a_minimum_is_no_more_than_a_median) {
  TimingOptions options;
  options.seconds = 0.05;
  int last = 0, total = 0;
  const auto times = time_kernels(cache_, {conv_spec(16, 32, 8), relu_spec(8), relu_spec(8)},
                                  options, [&](int done, int of) {
                                    last = done;
                                    total = of;
                                  });
  ASSERT_EQ(times.size(), 3u);
  for (const auto& time : times) {
    ASSERT_TRUE(time.ok()) << time.error().message;
    EXPECT_GT(time->min_ms, 0);
    EXPECT_LE(time->min_ms, time->median_ms);
    EXPECT_GT(time->cold_min_ms, 0);
    EXPECT_LE(time->cold_min_ms, time->cold_median_ms);
    EXPECT_GE(time->calls, 3);
  }
  EXPECT_EQ(times[1]->min_ms, times[2]->min_ms) << "equal specs are measured once";
  EXPECT_EQ(last, 4);
  EXPECT_EQ(total, 4);
}

TEST_F(TimeKernelTest, fmas_beside_a_kernel_are_measured_when_asked_for) {
  TimingOptions options;
  options.seconds = 0.02;
  const KernelTime without = must(time_kernels(cache_, {conv_spec(16, 32, 8)}, options)[0]);
  EXPECT_EQ(without.peak_gflops, 0);
  EXPECT_EQ(without.fma_gflop, 0);
  options.with_fmas = true;
  const KernelTime time = must(time_kernels(cache_, {conv_spec(16, 32, 8)}, options)[0]);
  EXPECT_GT(time.peak_gflops, 1.0);
  EXPECT_GT(time.fma_gflop, 0);
}

TEST_F(TimeKernelTest, several_threads_are_taken) {
  TimingOptions options;
  options.seconds = 0.02;
  options.threads = 2;
  const auto times = time_kernels(cache_, {conv_spec(16, 32, 8)}, options);
  EXPECT_TRUE(times[0].ok()) << times[0].error().message;
}

TEST_F(TimeKernelTest, a_kernel_that_does_not_compile_is_one_error_among_times) {
  KernelSpec impossible = conv_spec(8, 8, 4);
  impossible.schedule = "vectorize nothing 16";
  TimingOptions options;
  options.seconds = 0.02;
  const auto times = time_kernels(cache_, {impossible, relu_spec(8)}, options);
  EXPECT_FALSE(times[0].ok());
  EXPECT_TRUE(times[1].ok());
}

TEST_F(TimeKernelTest, the_peak_is_measured_for_every_vector_extension_of_this_machine) {
  for (const char* target : {"host", "x86-64-linux-sse41"}) {
    const auto peak = measured_peak_gflops(cache_, must(resolve_target(target)));
    ASSERT_TRUE(peak.ok()) << peak.error().message;
    EXPECT_GT(*peak, 1.0) << target;
  }
  const auto two = measured_peak_gflops(cache_, must(resolve_target("host")), 2);
  ASSERT_TRUE(two.ok()) << two.error().message;
  EXPECT_GT(*two, 1.0);
}

TEST_F(TimeKernelTest, the_rates_of_a_roofline_are_measured) {
  for (const int threads : {1, 2}) {
    const MachineRates rates = must(measured_rates(cache_, must(resolve_target("host")), threads));
    EXPECT_GT(rates.peak_gflops, 1);
    EXPECT_GT(rates.stream_gbps, 0.1);
    EXPECT_LT(rates.stream_gbps, 1e4);
  }
}

TEST_F(TimeKernelTest, the_worker_refuses_arguments_it_does_not_know) {
  const auto result = must(run_process({EMULSION_KERNEL_WORKER, "time-kernel", "one"}));
  EXPECT_EQ(result.exit_code, 2);
}

}  // namespace
}  // namespace emulsion
