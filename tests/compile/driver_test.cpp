#include "compile/driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "base/process.h"
#include "compile/assemble.h"
#include "compile/driver_text.h"
#include "compile/weights_file.h"
#include "tests/compile/small_networks.h"

namespace emulsion {
namespace {

using testing::HasSubstr;

TEST(DriverText, FillsKeysInOnce) {
  EXPECT_EQ(fill("a @X@ b @Y@@X@", {{"X", "@Y@"}, {"Y", "2"}}), "a @Y@ b 2@Y@");
  EXPECT_EQ(fill("", {}), "");
}

TEST(DriverText, WritesAnyNameAsACString) {
  EXPECT_EQ(c_string("a\"b\\c\n1"), "\"a\\042b\\134c\\0121\"");
  EXPECT_EQ(c_string("?\?/"), "\"\\077\\077/\"");
  EXPECT_EQ(c_string("\xc3\xa9"), "\"\\303\\251\"");
  EXPECT_EQ(one_line("a\nb\\"), "a b ");
}

TEST(WeightsFile, AlignsConstantsAndKeepsEqualOnesOnce) {
  WeightsFile file;
  EXPECT_EQ(file.add("0123456789ab"), 0);
  EXPECT_EQ(file.add("4444"), 16);
  EXPECT_EQ(file.add("0123456789ab"), 0);
  EXPECT_EQ(file.add("01234567"), 32);
  EXPECT_EQ(file.bytes().size(), 34 * sizeof(float));
}

// Two names that become one in C, and a word of the language.
TEST(Assemble, GivesEveryTensorAnIdentifierOfItsOwn) {
  Network network;
  for (const char* name : {"x.1", "x_1", "int", "x:1"})
    network.inputs.push_back(network.add_value(name, {2}));
  const ValueId sum = network.add_layer("sum", Binary{}, {network.inputs[0], network.inputs[1]});
  network.outputs = {network.add_layer("sum2", Binary{}, {sum, network.inputs[2]}),
                     network.inputs[3]};
  const PreparedNetwork prepared = must(prepare(network, {}, "x86-64-linux-sse41"));
  const Assembly assembly = assemble(prepared);
  std::vector<std::string> ids;
  for (const DriverTensor& t : assembly.driver.inputs) ids.push_back(t.id);
  EXPECT_THAT(ids, testing::ElementsAre("x_1", "x_1_2", "int_2", "x_1_3"));
  EXPECT_EQ(assembly.driver.outputs[1].id, "x_1_4");
  EXPECT_EQ(assembly.driver.outputs[1].name, "x:1");
}

TEST(Driver, CopiesLargeWeightsIntoHugePagesUnlessThePlanForbids) {
  Driver driver;
  driver.name = "net";
  driver.weights_bytes = 4 << 20;
  EXPECT_THAT(driver_source(driver), HasSubstr("take_weights(context)"));
  EXPECT_THAT(driver_header(driver), HasSubstr("a copy in huge pages"));
  driver.huge_pages = false;
  EXPECT_THAT(driver_source(driver), testing::Not(HasSubstr("take_weights")));
  EXPECT_THAT(driver_header(driver), testing::Not(HasSubstr("huge pages")));
}

TEST(Driver, ServesScratchFromTheContextOnlyWhenAKernelAsks) {
  Driver driver;
  driver.name = "net";
  EXPECT_THAT(driver_source(driver), testing::Not(HasSubstr("halide_malloc")));
  driver.heap_scratch = true;
  EXPECT_THAT(driver_source(driver), HasSubstr("void *halide_malloc"));
}

constexpr const char* k_kernel_with_scratch = R"(
#include <string.h>
#include <stddef.h>
struct halide_buffer_t {
  unsigned long long device;
  const void *device_interface;
  float *host;
};
void *halide_malloc(void *, size_t);
void halide_free(void *, void *);
int k_double(void *context, struct halide_buffer_t *in, struct halide_buffer_t *out) {
  float *scratch = halide_malloc(context, 100000), *more = halide_malloc(context, 8);
  for (int i = 0; i < 2; ++i) scratch[i] = 2 * in->host[i];
  memcpy(more, scratch, 8);
  memcpy(out->host, more, 8);
  halide_free(context, scratch);
  halide_free(context, more);
  return 0;
}
)";
constexpr const char* k_app_with_scratch = R"(
#include <malloc.h>
#include <stdio.h>
#include "net.h"
int main(void) {
  float in[2] = {1, 2}, out[2] = {0, 0};
  net_context *context = net_create(0);
  if (!context || net_run_in(context, in, out) != 0) return 1;
  const size_t before = mallinfo2().uordblks;
  for (int i = 0; i < 100; ++i) net_run_in(context, in, out);
  printf("%g %g %d\n", out[0], out[1], mallinfo2().uordblks == before);
  net_destroy(context);
  return 0;
}
)";

TEST(Driver, KeepsScratchForTheNextRun) {
  using Where = DriverBuffer::Where;
  Driver driver;
  driver.name = "net";
  driver.heap_scratch = true;
  driver.inputs = {{"x", "x", {2}}};
  driver.outputs = {{"y", "y", {2}}};
  driver.buffers = {{Where::input, 0, 0, {{0, 2, 1}}, "x"},
                    {Where::output, 0, 0, {{0, 2, 1}}, "y"}};
  driver.calls = {{"double", "k_double", "", {0, 1}}};
  const TemporaryDirectory folder;
  const auto write = [&](const char* file, const std::string& text) {
    ASSERT_TRUE(write_file(folder.path() / file, text).ok());
  };
  write("net.h", driver_header(driver));
  write("net.c", driver_source(driver));
  write("net.weights", "");
  write("kernel.c", k_kernel_with_scratch);
  write("app.c", k_app_with_scratch);
  KernelCache cache = test_cache();
  const auto runtime = must(cache.runtime_object("x86-64-linux-sse41"));
  ProcessOptions here;
  here.directory = folder.path();
  const auto build =
      must(run_process({"cc", "-Wall", "-Wextra", "-Werror", "net.c", "app.c", "kernel.c",
                        runtime.string(), "-lpthread", "-ldl", "-o", "app"},
                       here));
  ASSERT_EQ(build.exit_code, 0) << build.errors;
  EXPECT_EQ(must(run_process({folder.path() / "app"})).output, "2 4 1\n");
}

TEST(Driver, ChecksTheProcessorForTheTarget) {
  Driver driver;
  driver.name = "net";
  driver.target = "x86-64-linux-sse41-avx-f16c-fma-avx2";
  EXPECT_THAT(driver_source(driver), HasSubstr("__builtin_cpu_supports(\"avx2\")"));
  EXPECT_THAT(driver_source(driver), testing::Not(HasSubstr("avx512")));
}

}  // namespace
}  // namespace emulsion
