#include "kernels/kernel_cache.h"

#include <gmock/gmock.h>

#include "base/process.h"
#include "kernels_for_tests.h"

namespace emulsion {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class KernelCacheTest : public ::testing::Test {
 protected:
  KernelCache cache(const std::filesystem::path& worker = EMULSION_KERNEL_WORKER) const {
    return KernelCache(folder_.path() / "cache", worker, 2);
  }
  // A worker that counts its starts in a file and then does its work.
  std::filesystem::path counting_worker() const {
    return write_script(folder_.path() / "counting.sh",
                        "echo started >> " + (folder_.path() / "starts").string() + "\nexec " +
                            EMULSION_KERNEL_WORKER + " \"$@\"");
  }
  int starts() const {
    const auto text = read_file(folder_.path() / "starts");
    return text.ok() ? static_cast<int>(std::count(text->begin(), text->end(), '\n')) : 0;
  }

  TemporaryDirectory folder_;
};

TEST_F(KernelCacheTest, a_kernel_is_an_object_with_its_name_as_symbol) {
  KernelCache kernels = cache();
  const CompiledKernel compiled = must(kernels.compile(relu_spec(8)));
  EXPECT_EQ(compiled.name, kernel_name(relu_spec(8)));
  const auto symbols = must(run_process({"llvm-nm", compiled.object.string()}));
  EXPECT_THAT(symbols.output, HasSubstr(" T " + compiled.name + "\n"));
}

TEST_F(KernelCacheTest, the_text_beside_an_object_says_what_it_is) {
  KernelCache kernels = cache();
  const CompiledKernel compiled = must(kernels.compile(relu_spec(8)));
  const std::string text = must(read_file(kernels.directory() / (compiled.name + ".txt")));
  EXPECT_TRUE(text.starts_with(to_text(relu_spec(8)))) << text;
}

TEST_F(KernelCacheTest, equal_specs_are_compiled_once_and_distinct_ones_each) {
  KernelCache kernels = cache(counting_worker());
  std::vector<std::pair<int, int>> progress;
  const auto results =
      kernels.compile({relu_spec(8), relu_spec(16), relu_spec(8)},
                      [&](int done, int total) { progress.emplace_back(done, total); });
  ASSERT_EQ(results.size(), 3u);
  for (const auto& result : results) ASSERT_TRUE(result.ok()) << result.error().message;
  EXPECT_EQ(results[0]->object, results[2]->object);
  EXPECT_NE(results[0]->object, results[1]->object);
  EXPECT_EQ(starts(), 2);
  EXPECT_EQ(progress, (std::vector<std::pair<int, int>>{{1, 2}, {2, 2}}));
}

TEST_F(KernelCacheTest, a_kernel_in_the_cache_starts_no_worker) {
  KernelCache first = cache(counting_worker());
  must(first.compile(relu_spec(8)));
  KernelCache second = cache(counting_worker());
  must(second.compile(relu_spec(8)));
  EXPECT_EQ(starts(), 1);
}

TEST_F(KernelCacheTest, a_damaged_object_is_compiled_again) {
  KernelCache kernels = cache(counting_worker());
  const CompiledKernel compiled = must(kernels.compile(relu_spec(8)));
  const std::string whole = must(read_file(compiled.object));
  for (const std::string& damaged :
       {whole.substr(0, whole.size() / 2), std::string(), whole + "x"}) {
    must(write_file(compiled.object, damaged));
    EXPECT_EQ(must(kernels.compile(relu_spec(8))).object, compiled.object);
    EXPECT_EQ(must(read_file(compiled.object)).size(), whole.size());
  }
  EXPECT_EQ(starts(), 4);
}

TEST_F(KernelCacheTest, the_runtime_of_a_target_is_compiled_once) {
  KernelCache kernels = cache(counting_worker());
  const std::string target = must(resolve_target("host"));
  const auto runtime = must(kernels.runtime_object(target));
  EXPECT_EQ(must(kernels.runtime_object(target)), runtime);
  EXPECT_EQ(starts(), 1);
  const auto symbols = must(run_process({"llvm-nm", runtime.string()}));
  EXPECT_THAT(symbols.output, HasSubstr("halide_do_par_for"));
}

TEST_F(KernelCacheTest, a_shared_library_is_made_once_and_again_when_damaged) {
  KernelCache kernels = cache();
  const KernelSpec spec = relu_spec(8);
  const CompiledKernel compiled = must(kernels.compile(spec));
  const auto library = must(kernels.shared_library(compiled, spec.target));
  const std::string content = must(read_file(library));
  const auto written = std::filesystem::last_write_time(library);
  EXPECT_EQ(must(kernels.shared_library(compiled, spec.target)), library);
  EXPECT_EQ(std::filesystem::last_write_time(library), written);
  must(write_file(library, content.substr(0, 100)));
  must(kernels.shared_library(compiled, spec.target));
  EXPECT_EQ(must(read_file(library)).size(), content.size());
}

TEST_F(KernelCacheTest, two_programs_compile_into_one_folder_at_once) {
  std::string specs;
  for (int channels : {8, 16, 24}) specs += to_text(relu_spec(channels)) + "---\n";
  std::vector<std::string> messages(3);
  std::vector<int> codes(3, -1);
  parallel_for(3, 3, [&](int i) {
    ProcessOptions options;
    options.input = specs;
    const auto result = run_process({EMULSION_KERNEL_WORKER, "compile-all",
                                     (folder_.path() / "cache").string(), EMULSION_KERNEL_WORKER},
                                    options);
    if (!result.ok()) return;
    codes[i] = result->exit_code;
    messages[i] = result->errors;
  });
  for (int i = 0; i < 3; ++i) EXPECT_EQ(codes[i], 0) << messages[i];
  // All that is there holds together: nothing is compiled again.
  KernelCache kernels = cache("/nonexistent/worker");
  for (int channels : {8, 16, 24}) {
    const auto compiled = kernels.compile(relu_spec(channels));
    EXPECT_TRUE(compiled.ok()) << compiled.error().message;
  }
  EXPECT_EQ(files_in(folder_.path() / "cache").size(), 6u);
}

}  // namespace
}  // namespace emulsion
