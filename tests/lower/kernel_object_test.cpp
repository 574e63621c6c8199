// What is in kernels' objects: large constants are prefetched into the second-level cache, small
// ones are not, and nothing allocates.
#include <gtest/gtest.h>

#include <set>

#include "base/file.h"
#include "base/process.h"
#include "lower/algorithm.h"
#include "lower/lower.h"
#include "lower/prefetch.h"

namespace emulsion {
namespace {

std::string disassembly(int64_t channels, const std::string& target, int next_kb = 0,
                        const std::string& schedule = "") {
  const Shape image{1, channels, 4, 4};
  Conv conv;
  conv.pad = {1, 1, 1, 1};
  conv.weight = abstract_constant({channels, channels, 3, 3});
  KernelSpec spec;
  spec.op = conv;
  spec.inputs = {channels_last(image, conv.pad)};
  spec.output = channels_last(image);
  spec.target = resolve_target(target).value();
  spec.prefetch_next_kb = next_kb;
  if (!schedule.empty()) spec.algorithm = "direct";
  spec.schedule = schedule;
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

// The values of an expression over all iterations of the loops around it.
void add_values(const Halide::Expr& e, const std::vector<std::pair<std::string, int>>& loops,
                size_t loop, std::set<int64_t>& values) {
  using namespace Halide::Internal;  // NOLINT: expressions are its
  if (loop == loops.size()) {
    const auto value = as_const_int(simplify(e));
    ASSERT_TRUE(value) << "not constant";
    values.insert(*value);
    return;
  }
  for (int i = 0; i < loops[loop].second; ++i)
    add_values(substitute(loops[loop].first, i, e), loops, loop + 1, values);
}

// What a module's prefetches ask for, in elements from a constant's first: bytes of what lies
// behind the constants. Parallel loops' functions are run for so many tasks.
class FindsPrefetches : public Halide::Internal::IRVisitor {
 public:
  explicit FindsPrefetches(int tasks) : tasks_(tasks) {}
  std::set<int64_t> positions;
  int calls = 0;  // in the code

  void run(const Halide::Internal::LoweredFunc& function) {
    loops_.clear();
    for (const auto& argument : function.args)
      if (argument.is_scalar() && argument.type == Halide::Int(32))
        loops_.emplace_back(argument.name, tasks_);
    function.body.accept(this);
  }

 private:
  using IRVisitor::visit;
  void visit(const Halide::Internal::For* op) override {
    const auto extent = Halide::Internal::as_const_int(op->extent);
    loops_.emplace_back(op->name, extent ? static_cast<int>(*extent) : 0);
    IRVisitor::visit(op);
    loops_.pop_back();
  }
  void visit(const Halide::Internal::Call* op) override {
    IRVisitor::visit(op);
    if (!op->is_intrinsic(Halide::Internal::Call::prefetch)) return;
    ++calls;
    add_values(op->args[1], loops_, 0, positions);
  }

  int tasks_;
  std::vector<std::pair<std::string, int>> loops_;
};

// Whatever the vectors' width: each reading of a tile's weights asks for a part of the next tile's.
TEST(Prefetch, SpreadsTheNextTilesLinesOverAllReadingsOfThisOne) {
  constexpr int k_channels = 64, k_tile = 64, k_tiles = 2, k_line = 16;
  for (const int lanes : {4, 8, 16}) {
    SCOPED_TRACE(lanes);
    KernelSpec spec;
    Conv conv;
    conv.weight = abstract_constant({k_tiles * k_tile, k_channels, 1, 1});
    spec.op = conv;
    spec.inputs = {channels_last({1, k_channels, 8, 8})};
    spec.output = channels_last({1, k_tiles * k_tile, 8, 8});
    spec.target = resolve_target("host").value();
    spec.algorithm = "direct";
    spec.schedule =
        fmt::format("tile x 4; tile co {}; vectorize coi {}; unroll coi; unroll xi", k_tile, lanes);
    const LoweredKernel kernel = lower(completed(spec).value()).value();
    const auto prefetching = with_prefetches(
        kernel.pipeline().compile_to_module(kernel.arguments, "kernel", kernel.target),
        {.streams = {"constant0"}});
    ASSERT_TRUE(prefetching);
    FindsPrefetches finder(1);
    for (const auto& function : prefetching->functions()) finder.run(function);
    std::set<int64_t> lines, wanted;
    for (const int64_t element : finder.positions) lines.insert(element / k_line);
    for (int64_t i = k_tile * k_channels; i < (k_tiles + 1) * k_tile * k_channels; i += k_line)
      wanted.insert(i / k_line);
    EXPECT_EQ(lines, wanted);
    // An iteration asks for one line, and one reading has a quarter as many as the tile has lines.
    EXPECT_EQ(finder.calls, 1);
  }
}

TEST(Prefetch, AsksForAllThatIsWantedBehindTheConstants) {
  constexpr int k_constant_bytes = 4 * 16 * 16 * 9;
  struct Case {
    const char* schedule;
    int tasks, tiles;
  };
  for (const auto& [schedule, tasks, tiles] :
       {Case{"tile x 4; tile co 16; vectorize coi 16", 1, 64},
        Case{"tile x 8; tile co 16; vectorize coi 16; parallel y", 16, 32},
        Case{"tile y 8; tile x 8; tile co 16; vectorize coi 16", 1, 4}}) {
    SCOPED_TRACE(schedule);
    Conv conv;
    conv.weight = abstract_constant({16, 16, 3, 3});
    KernelSpec spec;
    spec.op = conv;
    spec.inputs = {channels_last({1, 16, 18, 18})};
    spec.output = channels_last({1, 16, 16, 16});
    spec.target = resolve_target("host").value();
    spec.algorithm = "direct";
    spec.schedule = schedule;
    const LoweredKernel kernel = lower(completed(spec).value()).value();
    const Halide::Module module =
        kernel.pipeline().compile_to_module(kernel.arguments, "kernel", kernel.target);
    // Parts of a line a tile, whole ones, and more than the 64 that a tile asks for at most.
    for (const int kb : {2, 3, 4, 7, 8, 256}) {
      Prefetched prefetched;
      prefetched.next_bytes = kb << 10;
      prefetched.ends = {{"constant0", k_constant_bytes}};
      const auto prefetching = with_prefetches(module, prefetched);
      ASSERT_TRUE(prefetching);
      FindsPrefetches finder(tasks);
      for (const auto& function : prefetching->functions()) finder.run(function);
      std::set<int64_t> lines;
      const int most = 64 * tiles * 64;
      for (int i = 0; i < std::min(prefetched.next_bytes, most); i += 64)
        lines.insert(k_constant_bytes + i);
      EXPECT_EQ(finder.positions, lines) << kb;
    }
  }
}

TEST(Prefetch, SmallKernelsAskForWhatTheNextLayerNeeds) {
  for (const char* schedule : {"", "tile co 8; vectorize coi 8; parallel y"}) {
    const std::string code = disassembly(16, "host", 4, schedule);
    EXPECT_GE(count(code, "prefetcht1"), 1u) << schedule;
    EXPECT_EQ(count(code, "prefetchnta"), 0u) << schedule;
  }
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

TEST(ProductsConv, AllocatesNothingWhereTilesHangOverTheImage) {
  for (const auto& [algorithm, stride, kernel] : {std::tuple{"winograd2", 1, 3},
                                                  {"winograd4", 1, 3},
                                                  {"winograd5", 1, 3},
                                                  {"winograd6", 1, 3},
                                                  {"winograd2", 2, 3},
                                                  {"winograd4", 2, 3},
                                                  {"winograd4", 1, 5},
                                                  {"winograd4", 2, 7},
                                                  {"strassen", 1, 1},
                                                  {"strassen", 2, 1}})
    for (const int64_t size : {23, 49, 149}) {
      Conv conv;
      conv.stride = {stride, stride};
      conv.weight = abstract_constant({32, 32, kernel, kernel});
      KernelSpec spec;
      spec.op = conv;
      spec.inputs = {channels_last({1, 32, size, size})};
      const int64_t out = (size - kernel) / stride + 1;
      spec.output = channels_last({1, 32, out, out});
      spec.target = resolve_target("host").value();
      spec.algorithm = algorithm;
      const TemporaryDirectory directory;
      const Status status =
          compile_to_object(completed(spec).value(), (directory.path() / "kernel.o").string());
      EXPECT_TRUE(status.ok()) << status.error().message;
    }
}

}  // namespace
}  // namespace emulsion
