#include "kernels/loaded_kernel.h"

#include <gmock/gmock.h>

#include <thread>

#include "kernels_for_tests.h"
#include "network/evaluate.h"

namespace emulsion {
namespace {

double largest_difference(const Tensor& a, const Tensor& b) {
  EXPECT_EQ(a.shape, b.shape);
  double largest = 0;
  for (size_t i = 0; i < a.data.size(); ++i) {
    largest = std::max(largest, std::abs(static_cast<double>(a.data[i]) - b.data[i]));
  }
  return largest;
}

TEST(KernelBufferTest, what_is_set_is_got_in_every_layout) {
  for (const Shape& shape :
       {Shape{2, 3, 4, 5}, Shape{7}, Shape{}, Shape{2, 3}, Shape{1, 1, 1, 1}}) {
    std::vector<TensorDescriptor> layouts = {row_major(shape)};
    if (shape.size() == 4) {
      layouts.push_back(channels_last(shape));
      layouts.push_back(channels_last(shape, {1, 2, 3, 4}));
      // Three channels in the middle of eight.
      TensorDescriptor slice = channels_last({shape[0], 8, shape[2], shape[3]}, {1, 1, 1, 1});
      slice.shape = shape;
      layouts.push_back(slice);
    }
    for (const TensorDescriptor& layout : layouts) {
      KernelBuffer buffer(layout);
      const Tensor values = noise(shape, 5);
      buffer.set(values);
      EXPECT_EQ(buffer.get().data, values.data) << to_text(layout);
    }
  }
}

TEST(KernelBufferTest, the_rim_is_zero_and_stays_so) {
  KernelBuffer buffer(channels_last({1, 4, 2, 2}, {1, 1, 1, 1}));
  buffer.set(Tensor({1, 4, 2, 2}, 1.0f));
  const float* memory = buffer.origin() - origin_offset(buffer.descriptor());
  double sum = 0;
  for (int64_t i = 0; i < storage_elements(buffer.descriptor()); ++i) sum += memory[i];
  EXPECT_EQ(sum, 16.0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(memory) % 64, 0u);
}

class LoadedKernelTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { folder_ = new TemporaryDirectory; }
  static void TearDownTestSuite() { delete folder_; }

  KernelCache cache_{folder_->path(), EMULSION_KERNEL_WORKER, 2};
  static TemporaryDirectory* folder_;
};
TemporaryDirectory* LoadedKernelTest::folder_ = nullptr;

struct Operands {
  std::vector<KernelBuffer> buffers;
  std::vector<const float*> inputs, packed;
  KernelBuffer output;

  Operands(const KernelSpec& spec, const std::vector<Tensor>& values) : output(spec.output) {
    for (size_t i = 0; i < values.size(); ++i) {
      buffers.emplace_back(spec.inputs[i]).set(values[i]);
      inputs.push_back(buffers.back().origin());
    }
    for (const PackedConstant& constant : pack_constants(spec, spec.op)) {
      const Shape shape = {static_cast<int64_t>(constant.data.size())};
      buffers.emplace_back(row_major(shape)).set(Tensor(shape, constant.data));
      packed.push_back(buffers.back().origin());
    }
  }
};

TEST_F(LoadedKernelTest, a_conv_computes_what_the_reference_does) {
  const KernelSpec spec = conv_spec(8, 24, 6);
  const LoadedKernel kernel = must(LoadedKernel::load(cache_, spec));
  EXPECT_EQ(to_text(kernel.spec()), to_text(spec));
  const Tensor x = noise({1, 8, 6, 6}, 3);
  Operands run(spec, {x});
  must(kernel.run(run.inputs, run.packed, run.output.origin()));
  EXPECT_LT(largest_difference(run.output.get(), evaluate(spec.op, {x})), 1e-5);
}

TEST_F(LoadedKernelTest, several_inputs_come_in_their_order) {
  KernelSpec spec;
  spec.op = Binary{Binary::Kind::sub, std::nullopt};
  spec.inputs = {channels_last({1, 8, 4, 4}), channels_last({1, 8, 4, 4}, {1, 1, 1, 1})};
  spec.output = channels_last({1, 8, 4, 4}, {2, 0, 0, 1});
  spec.target = must(resolve_target("host"));
  spec = must(completed(spec));
  const LoadedKernel kernel = must(LoadedKernel::load(cache_, spec));
  const Tensor a = noise({1, 8, 4, 4}, 1), b = noise({1, 8, 4, 4}, 2);
  Operands run(spec, {a, b});
  must(kernel.run(run.inputs, run.packed, run.output.origin()));
  EXPECT_EQ(largest_difference(run.output.get(), evaluate(spec.op, {a, b})), 0.0);
}

TEST_F(LoadedKernelTest, two_kernels_are_loaded_at_once_and_run_on_several_threads) {
  const KernelSpec specs[] = {conv_spec(8, 24, 6), conv_spec(8, 16, 6)};
  const LoadedKernel kernels[] = {must(LoadedKernel::load(cache_, specs[0])),
                                  must(LoadedKernel::load(cache_, specs[1]))};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      const KernelSpec& spec = specs[t % 2];
      const Tensor x = noise({1, 8, 6, 6}, 10 + t);
      const Tensor expected = evaluate(spec.op, {x});
      Operands run(spec, {x});
      for (int i = 0; i < 20; ++i) {
        EXPECT_TRUE(kernels[t % 2].run(run.inputs, run.packed, run.output.origin()).ok());
        EXPECT_LT(largest_difference(run.output.get(), expected), 1e-5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(LoadedKernelTest, loops_that_are_parallel_run_on_the_calling_thread) {
  KernelSpec spec = conv_spec(8, 16, 8);
  for (const std::string& schedule : find_algorithm(spec.algorithm)->schedules(spec)) {
    if (schedule.find("parallel") == std::string::npos) continue;
    spec.schedule = schedule;
    break;
  }
  const LoadedKernel kernel = must(LoadedKernel::load(cache_, spec));
  const Tensor x = noise({1, 8, 8, 8}, 3);
  Operands run(spec, {x});
  const auto threads = [] {
    return std::distance(std::filesystem::directory_iterator("/proc/self/task"),
                         std::filesystem::directory_iterator());
  };
  const auto before = threads();
  must(kernel.run(run.inputs, run.packed, run.output.origin()));
  EXPECT_EQ(threads(), before);
  EXPECT_LT(largest_difference(run.output.get(), evaluate(spec.op, {x})), 1e-5);
}

}  // namespace
}  // namespace emulsion
