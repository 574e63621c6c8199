// Kernels for lesser targets than this machine's run on it, and object files hold a kernel that
// never allocates.
#include <gmock/gmock.h>

#include "base/file.h"
#include "base/process.h"
#include "conv_harness.h"
#include "lower/algorithm.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

using testing::HasSubstr;
using testing::Not;

class LesserTarget : public testing::TestWithParam<const char*> {};

TEST_P(LesserTarget, ComputesEveryAlgorithm) {
  if (resolve_target("host")->find("x86-64-linux") != 0)
    GTEST_SKIP() << "[SKIP] not an x86 machine";
  const Activation relu{Activation::Kind::relu};
  const ConvCase odd{.input = {1, 12, 7, 9}, .co = 21, .residual = true, .activation = relu};
  const ConvCase pointwise{.input = {1, 12, 6, 6}, .co = 20, .kernel = {1, 1}, .pad = {0, 0, 0, 0}};
  const ConvCase depthwise{.input = {1, 13, 7, 7}, .co = 13, .groups = 13};
  const ConvCase narrow{.input = {1, 24, 7, 7}, .co = 16, .groups = 8};
  for (const auto& [algorithm, c] : {std::pair{"direct", odd},
                                     {"winograd2", odd},
                                     {"winograd4", odd},
                                     {"winograd5", odd},
                                     {"winograd6", odd},
                                     {"pointwise", pointwise},
                                     {"strassen", pointwise},
                                     {"depthwise", depthwise},
                                     {"packed", narrow}})
    check_conv(c, algorithm, "", GetParam());
}

INSTANTIATE_TEST_SUITE_P(, LesserTarget,
                         testing::Values("x86-64-linux-avx-avx2-f16c-fma-sse41", "x86-64-linux"));

// Needs nm of binutils or LLVM.
TEST(KernelObject, CallsNothingButTheThreadPool) {
  const TemporaryDirectory directory;
  std::vector<ConvCase> cases(4);
  cases[0].input = {1, 64, 56, 56};
  cases[0].co = 64;
  cases[1] = {.input = {1, 512, 7, 7}, .co = 33, .residual = true};
  cases[2] = {.input = {1, 96, 28, 28}, .co = 96, .groups = 96};
  cases[3] = {.input = {1, 600, 14, 14}, .co = 64, .kernel = {1, 1}, .pad = {0, 0, 0, 0}};
  cases[3].prologue.activation = Activation{Activation::Kind::relu};
  for (const ConvCase& c : cases) {
    for (const char* target :
         {"x86-64-linux-avx512_skylake", "x86-64-linux-avx-avx2-f16c-fma-sse41", "arm-64-linux"}) {
      KernelSpec spec = c.spec();
      spec.target = *resolve_target(target);
      spec = *completed(spec);
      const std::string path = directory.path() / "kernel.o";
      const Status status = compile_to_object(spec, path);
      ASSERT_TRUE(status.ok()) << status.error().message;
      const auto symbols = run_process({"nm", path});
      ASSERT_TRUE(symbols.ok()) << symbols.error().message;
      EXPECT_THAT(symbols->output, HasSubstr(" T " + kernel_name(spec)));
      EXPECT_THAT(symbols->output, Not(HasSubstr("malloc")));
      EXPECT_THAT(symbols->output, Not(HasSubstr("halide_error")));
    }
  }
}

TEST(KernelObject, ErrorsNameTheKernel) {
  KernelSpec spec = ConvCase{}.spec();
  spec.target = *resolve_target("host");
  spec = *completed(spec);
  const Status status = compile_to_object(spec, "/nonexistent/folder/kernel.o");
  ASSERT_FALSE(status.ok());
  for (const std::string& part : {to_text(spec.op), spec.algorithm, spec.schedule})
    EXPECT_THAT(status.error().message, HasSubstr(part));
  EXPECT_THAT(status.error().message, HasSubstr("/nonexistent/folder/kernel.o"));
}

TEST(Runtime, CompilesForATarget) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() / "runtime.o";
  const Status status = compile_runtime("x86-64-linux", path);
  ASSERT_TRUE(status.ok()) << status.error().message;
  EXPECT_THAT(run_process({"nm", path})->output, HasSubstr("halide_do_par_for"));
}

}  // namespace
}  // namespace emulsion
