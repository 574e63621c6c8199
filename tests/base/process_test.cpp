#include "base/process.h"

#include <gtest/gtest.h>

#include <mutex>
#include <set>

namespace emulsion {
namespace {

TEST(Process, GivesInputAndTakesBothOutputs) {
  const std::string input(300000, 'x');  // more than a pipe holds
  const auto result = run_process({"sh", "-c", "cat; echo bad >&2; exit 7"}, {.input = input});
  ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(result->output, input);
  EXPECT_EQ(result->errors, "bad\n");
  EXPECT_EQ(result->exit_code, 7);
}

TEST(Process, KillsWhatOutlastsItsTime) {
  const auto result = run_process({"sh", "-c", "sleep 60 & sleep 60"}, {.seconds = 0.2});
  ASSERT_TRUE(result.ok());
  EXPECT_TRUE(result->timed_out);
}

TEST(Process, LimitsMemory) {
  const auto result = run_process({"sh", "-c", "exec tail /dev/zero"},
                                  {.seconds = 30, .memory_bytes = size_t{64} << 20});
  ASSERT_TRUE(result.ok());
  EXPECT_FALSE(result->timed_out);
  EXPECT_NE(result->exit_code, 0);
}

TEST(Process, SaysWhatCannotBeStarted) {
  const auto result = run_process({"emulsion-no-such-program"});
  ASSERT_FALSE(result.ok());
  EXPECT_NE(result.error().message.find("emulsion-no-such-program"), std::string::npos);
}

TEST(Process, ASignalIsAnExitCode) {
  const auto result = run_process({"sh", "-c", "kill -SEGV $$"});
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->exit_code, 128 + 11);
}

TEST(Process, ParallelForRunsEachJobOnce) {
  std::mutex mutex;
  std::multiset<int> seen;
  parallel_for(100, 4, [&](int i) {
    const std::lock_guard<std::mutex> lock(mutex);
    seen.insert(i);
  });
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(std::set<int>(seen.begin(), seen.end()).size(), 100u);
}

}  // namespace
}  // namespace emulsion
