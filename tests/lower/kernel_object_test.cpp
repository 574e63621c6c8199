// What is in kernels' objects: large constants are prefetched into the second-level cache, small
// ones are not, and nothing allocates.
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "lower/prefetch.h"

namespace emulsion {
namespace {

std::string disassembly(int64_t channels, const std::string& target) {
  const Shape image{1, channels, 4, 4};
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  conv.weight = abstract_constant({channels, channels, 3, 3});
  KernelSpec spec;
  spec.op = conv;
  spec.inputs = {channels_last(image, conv.pad)};
  spec.output = channels_last(image);
  spec.target = resolve_target(target).value();
  const TemporaryDirectory directory;
  const std::string object = (directory.path() / "kernel.o").string();
  const Result<KernelSpec> complete = completed(spec);
  EXPECT_TRUE(complete.ok());
  const Status status = compile_to_object(*complete, object);
  EXPECT_TRUE(status.ok()) << status.error().message;
  const auto dump = run_process({"llvm-objdump", "-d", "--no-show-raw-insn", object});
  return dump.ok() ? dump->output : "";
}

size_t count(const std::string& text, const std::string& word) {
  size_t result = 0;
  for (size_t at = 0; (at = text.find(word, at)) != std::string::npos; ++at) ++result;
  return result;
}

TEST(Prefetch, LargeWeightsAreAskedForInTheSecondLevelCache) {
  for (const char* target : {"host", "x86-64-linux-sse41"}) {
    const std::string code = disassembly(256, target);
    EXPECT_GE(count(code, "prefetcht1"), 1u) << target;
    EXPECT_LE(count(code, "prefetcht1"), 16u) << target;
    EXPECT_EQ(count(code, "prefetchnta"), 0u) << target;
  }
}

TEST(Prefetch, SmallWeightsAreLeftToTheHardware) {
  EXPECT_EQ(count(disassembly(16, "host"), "prefetch"), 0u);
}

// A kernel that would allocate is refused.
TEST(Winograd, AllocatesNothingWhereBlocksOfChannelsHangOverAGroup) {
  Conv conv;
  conv.groups = 2;
  conv.weight = abstract_constant({80, 40, 3, 3});
  KernelSpec spec;
  spec.op = conv;
  spec.inputs = {channels_last({1, 80, 30, 30})};
  spec.output = channels_last({1, 80, 28, 28});
  spec.target = resolve_target("host").value();
  spec.algorithm = "winograd4";
  for (const char* schedule : {"split x 28; split co 32; interchange co x; interchange coi co; "
                               "tile xi 7; tile coi 16; vectorize coii 16; unroll xii; parallel x",
                               "split co 32; interchange coi y; tile x 7; tile coi 16; "
                               "vectorize coii 16; unroll xi; parallel co",
                               "interchange co y; tile x 7; tile co 16; vectorize coi 16; "
                               "unroll xi"}) {
    spec.schedule = schedule;
    const TemporaryDirectory directory;
    const Status status =
        compile_to_object(completed(spec).value(), (directory.path() / "kernel.o").string());
    EXPECT_TRUE(status.ok()) << status.error().message;
  }
}

TEST(Winograd, AllocatesNothingWhereTilesHangOverTheImage) {
  for (const int64_t size : {23, 49, 149}) {
    Conv conv;
    conv.weight = abstract_constant({32, 32, 3, 3});
    KernelSpec spec;
    spec.op = conv;
    spec.inputs = {channels_last({1, 32, size, size})};
    spec.output = channels_last({1, 32, size - 2, size - 2});
    spec.target = resolve_target("host").value();
    for (const char* algorithm : {"winograd2", "winograd4", "winograd6"}) {
      spec.algorithm = algorithm;
      spec.schedule.clear();
      const TemporaryDirectory directory;
      const Status status =
          compile_to_object(completed(spec).value(), (directory.path() / "kernel.o").string());
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
  }
}

}  // namespace
}  // namespace emulsion
