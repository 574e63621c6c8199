// Workers that fail, hang, crash and lie, folders that cannot be written, and Ctrl-C: each an error
// value.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "base/process.h"
#include "kernels/time_kernel.h"
#include "kernels_for_tests.h"

namespace emulsion {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class KernelFaultsTest : public ::testing::Test {
 protected:
  KernelCache cache(const std::filesystem::path& worker, WorkerLimits limits = {}) const {
    return KernelCache(folder_.path() / "cache", worker, 2, limits);
  }
  // Nothing of a kernel that failed is in the cache under any name.
  void expect_empty_cache() const {
    const auto folder = folder_.path() / "cache";
    EXPECT_TRUE(!std::filesystem::exists(folder) || files_in(folder).empty());
  }

  TemporaryDirectory folder_;
};

TEST_F(KernelFaultsTest, a_workers_own_message_is_the_error) {
  KernelCache kernels =
      cache(write_script(folder_.path() / "worker.sh", "echo no such instruction >&2; exit 3"));
  const auto compiled = kernels.compile(relu_spec(8));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message,
              AllOf(HasSubstr("no such instruction"), HasSubstr(kernel_name(relu_spec(8)))));
  EXPECT_EQ(compiled.error().code, ExitCode::internal);
  expect_empty_cache();
}

TEST_F(KernelFaultsTest, a_spec_that_cannot_be_compiled_does_not_end_the_others) {
  KernelSpec impossible = conv_spec(8, 8, 4);
  impossible.schedule = "vectorize nothing 16";
  KernelCache kernels = cache(EMULSION_KERNEL_WORKER);
  const auto results = kernels.compile({relu_spec(8), impossible, relu_spec(16)});
  EXPECT_TRUE(results[0].ok());
  ASSERT_FALSE(results[1].ok());
  EXPECT_THAT(results[1].error().message, HasSubstr("nothing"));
  EXPECT_TRUE(results[2].ok());
}

TEST_F(KernelFaultsTest, a_worker_beyond_its_time_is_killed) {
  WorkerLimits limits;
  limits.seconds = 0.3;
  KernelCache kernels = cache(write_script(folder_.path() / "worker.sh", "sleep 60"), limits);
  const auto start = std::chrono::steady_clock::now();
  const auto compiled = kernels.compile(relu_spec(8));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message, HasSubstr("limit of 0.3 s"));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
  expect_empty_cache();
}

TEST_F(KernelFaultsTest, a_worker_that_crashes_is_an_error_with_its_signal) {
  KernelCache kernels =
      cache(write_script(folder_.path() / "worker.sh", "printf half > \"$2\"; kill -SEGV $$"));
  const auto compiled = kernels.compile(relu_spec(8));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message, HasSubstr("signal 11"));
  expect_empty_cache();
}

TEST_F(KernelFaultsTest, a_worker_beyond_its_memory_is_an_error) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "sanitizers reserve more address space than any limit";
#endif
  WorkerLimits limits;
  limits.memory_bytes = size_t{64} << 20;  // less than Halide needs to be loaded
  KernelCache kernels = cache(EMULSION_KERNEL_WORKER, limits);
  EXPECT_FALSE(kernels.compile(relu_spec(8)).ok());
  expect_empty_cache();
}

TEST_F(KernelFaultsTest, a_worker_that_writes_nothing_is_an_error) {
  for (const char* body : {"exit 0", "true > \"$2\""}) {
    KernelCache kernels = cache(write_script(folder_.path() / "worker.sh", body));
    EXPECT_FALSE(kernels.compile(relu_spec(8)).ok()) << body;
    expect_empty_cache();
  }
}

TEST_F(KernelFaultsTest, a_worker_that_is_missing_is_an_error_that_names_it) {
  KernelCache kernels = cache("/nonexistent/worker");
  const auto compiled = kernels.compile(relu_spec(8));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message, HasSubstr("/nonexistent/worker"));
}

TEST_F(KernelFaultsTest, a_folder_that_cannot_be_written_is_an_error_that_names_it) {
  must(write_file(folder_.path() / "cache", "a file where the folder should be"));
  KernelCache kernels = cache(EMULSION_KERNEL_WORKER);
  const auto compiled = kernels.compile(relu_spec(8));
  ASSERT_FALSE(compiled.ok());
  EXPECT_THAT(compiled.error().message, HasSubstr((folder_.path() / "cache").string()));
}

TEST_F(KernelFaultsTest, a_timing_worker_that_prints_nonsense_is_an_error) {
  KernelCache kernels =
      cache(write_script(folder_.path() / "worker.sh",
                         std::string("[ $1 = time-kernel ] && echo fast && exit 0\nexec ") +
                             EMULSION_KERNEL_WORKER + " \"$@\""));
  const auto times = time_kernels(kernels, {relu_spec(8)}, {});
  ASSERT_FALSE(times[0].ok());
  EXPECT_THAT(times[0].error().message, HasSubstr("fast"));
}

TEST_F(KernelFaultsTest, ctrl_c_while_compiling_ends_with_130_and_leaves_nothing_half_written) {
  // One kernel compiles, the other would take a minute.
  const KernelSpec quick = relu_spec(8), slow = relu_spec(16);
  const auto worker =
      write_script(folder_.path() / "worker.sh",
                   "cp /dev/stdin \"$2.text\"\nif grep -q 1x16x4x4 \"$2.text\"; then printf half > "
                   "\"$2\"; touch " +
                       (folder_.path() / "slow").string() + "; sleep 60; fi\nexec " +
                       EMULSION_KERNEL_WORKER + " \"$@\" < \"$2.text\"");
  must(write_file(folder_.path() / "specs", to_text(quick) + "---\n" + to_text(slow) + "---\n"));
  const std::string cache_folder = (folder_.path() / "cache").string();
  const std::string specs = (folder_.path() / "specs").string();

  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    if (!std::freopen(specs.c_str(), "r", stdin)) ::_exit(99);
    ::execl(EMULSION_KERNEL_WORKER, EMULSION_KERNEL_WORKER, "compile-all", cache_folder.c_str(),
            worker.c_str(), nullptr);
    ::_exit(99);
  }
  const auto compiled = folder_.path() / "cache" / (kernel_name(quick) + ".txt");
  for (int i = 0; i < 600; ++i) {
    if (std::filesystem::exists(folder_.path() / "slow") && std::filesystem::exists(compiled))
      break;
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ::kill(child, SIGINT);
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 130);
  EXPECT_EQ(files_in(cache_folder),
            (std::vector<std::string>{kernel_name(quick) + ".o", kernel_name(quick) + ".txt"}));
}

}  // namespace
}  // namespace emulsion
