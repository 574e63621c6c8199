#include "conv_harness.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <functional>
#include <limits>
#include <utility>

#include "base/file.h"
#include "base/random.h"
#include "emulated_kernel.h"
#include "kernels/loaded_kernel.h"
#include "lower/algorithm.h"
#include "lower/buffer_layout.h"
#include "lower/lower.h"
#include "network/evaluate.h"

namespace emulsion {

namespace {

constexpr uint64_t k_weight_seed = 1, k_bias_seed = 2;

Tensor noise(const Shape& shape, uint64_t seed) {
  const RandomStream random(seed);
  Tensor tensor(shape);
  for (size_t i = 0; i < tensor.data.size(); ++i)
    tensor.data[i] = static_cast<float>(random.uniform(i, -1.0, 1.0));
  return tensor;
}

Constant noise_constant(const Shape& shape, uint64_t seed) {
  return std::make_shared<const Tensor>(noise(shape, seed));
}

// Pages of which the last float is followed by one that cannot be touched.
class GuardedFloats {
 public:
  explicit GuardedFloats(int64_t count, float fill) : count_(count) {
    const size_t page = sysconf(_SC_PAGESIZE);
    bytes_ = (count * sizeof(float) + page - 1) / page * page;
    base_ = static_cast<char*>(
        mmap(nullptr, bytes_ + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EMULSION_CHECK(base_ != MAP_FAILED);
    EMULSION_CHECK(mprotect(base_ + bytes_, page, PROT_NONE) == 0);
    std::fill_n(data(), count, fill);
  }
  ~GuardedFloats() { munmap(base_, bytes_ + sysconf(_SC_PAGESIZE)); }
  GuardedFloats(const GuardedFloats&) = delete;
  GuardedFloats& operator=(const GuardedFloats&) = delete;
  float* data() { return reinterpret_cast<float*>(base_ + bytes_) - count_; }
  int64_t size() const { return count_; }

 private:
  int64_t count_;
  size_t bytes_ = 0;
  char* base_ = nullptr;
};

// A tensor's memory from its rim's first element to its rim's last.
class Memory {
 public:
  Memory(const TensorDescriptor& d, float fill)
      : d_(d), origin_(-input_layout(d).host_offset), floats_(extent(d), fill) {}

  float* origin() { return floats_.data() + origin_; }
  float* host(const BufferLayout& layout) { return origin() + layout.host_offset; }
  Floats floats() { return {floats_.data(), floats_.size()}; }

  // f(row-major position, element) for the image, or for the rim with position -1.
  template <class F>
  void for_each(bool with_rim, F&& f) {
    const Pad4 rim = with_rim ? d_.rim : Pad4{0, 0, 0, 0};
    const Shape& s = d_.shape;
    for (int64_t n = 0; n < s[0]; ++n)
      for (int64_t c = 0; c < s[1]; ++c)
        for (int64_t y = -rim[0]; y < s[2] + rim[2]; ++y)
          for (int64_t x = -rim[1]; x < s[3] + rim[3]; ++x) {
            const bool inside = y >= 0 && y < s[2] && x >= 0 && x < s[3];
            const int64_t position = ((n * s[1] + c) * s[2] + y) * s[3] + x;
            f(inside ? position : -1,
              floats_.data()[origin_ + n * d_.strides[0] + c * d_.strides[1] + y * d_.strides[2] +
                             x * d_.strides[3]]);
          }
  }

  template <class F>
  bool all(F&& f) {
    return std::all_of(floats_.data(), floats_.data() + floats_.size(), f);
  }

 private:
  static int64_t extent(const TensorDescriptor& d) {
    int64_t last = 0;
    for (const BufferDimension& dim : input_layout(d).dimensions)
      last += int64_t{dim.extent - 1} * dim.stride;
    return last + 1;
  }

  TensorDescriptor d_;
  int64_t origin_;
  GuardedFloats floats_;
};

// Generated code reads nothing of a buffer but its host pointer; only the rank is checked, by
// Callable.
Halide::Buffer<> buffer(float* host, int dimensions) {
  const std::vector<halide_dimension_t> dims(dimensions, halide_dimension_t(0, 1, 1));
  return Halide::Buffer<float>(host, dimensions, dims.data());
}

template <size_t... I>
int call(const Halide::Callable& callable, std::vector<Halide::Buffer<>>& buffers,
         std::index_sequence<I...>) {
  return callable(buffers[I]...);
}

template <size_t Count = 1>
int call(const Halide::Callable& callable, std::vector<Halide::Buffer<>>& buffers) {
  if constexpr (Count > 10) {
    ADD_FAILURE() << "too many arguments";
    return -1;
  } else {
    if (buffers.size() == Count) return call(callable, buffers, std::make_index_sequence<Count>());
    return call<Count + 1>(callable, buffers);
  }
}

// Calls a kernel on tensors by descriptor.
using Kernel = std::function<Status(const std::vector<Memory*>& inputs, Memory& output)>;

Result<Kernel> jit_kernel(const KernelSpec& spec) {
  TRY(const LoweredKernel kernel, lower(spec));
  try {
    const Halide::Callable callable = kernel.pipeline().compile_to_callable(
        kernel.arguments, kernel.target.with_feature(Halide::Target::JIT)
                              .with_feature(Halide::Target::NoAsserts)
                              .with_feature(Halide::Target::NoBoundsQuery));
    std::vector<Halide::Buffer<>> constants;
    for (const PackedConstant& p : pack_constants(spec, spec.op)) {
      Halide::Buffer<>& copy =
          constants.emplace_back(Halide::Float(8 * bytes_of(p.type)), p.extents);
      const std::string bytes = stored_bytes(p);
      EMULSION_CHECK(copy.size_in_bytes() == bytes.size());
      std::memcpy(copy.data(), bytes.data(), bytes.size());
    }
    return Kernel([=](const std::vector<Memory*>& inputs, Memory& output) -> Status {
      std::vector<Halide::Buffer<>> buffers;
      for (size_t i = 0; i < inputs.size(); ++i)
        buffers.push_back(
            buffer(inputs[i]->host(input_layout(spec.inputs[i])), kernel.arguments[i].dimensions));
      buffers.insert(buffers.end(), constants.begin(), constants.end());
      buffers.push_back(
          buffer(output.host(output_layout(spec.output)), kernel.output.dimensions()));
      if (const int code = call(callable, buffers)) return failure("the kernel returned {}", code);
      return ok();
    });
  } catch (const Halide::Error& e) {
    return failure("{}", e.what());
  }
}

// Cached only as long as the program runs.
KernelCache& cache() {
  static const TemporaryDirectory folder;
  static KernelCache cache(folder.path(), EMULSION_KERNEL_WORKER, 1);
  return cache;
}

std::vector<KernelBuffer> stored_constants(const KernelSpec& spec) {
  std::vector<KernelBuffer> constants;
  for (const PackedConstant& p : pack_constants(spec, spec.op))
    constants.push_back(stored_constant(p));
  return constants;
}

Result<Kernel> object_kernel(const KernelSpec& spec) {
  TRY(const LoadedKernel kernel, LoadedKernel::load(cache(), spec));
  const std::vector<KernelBuffer> constants = stored_constants(spec);
  return Kernel([=](const std::vector<Memory*>& inputs, Memory& output) {
    std::vector<const float*> origins, packed;
    for (Memory* input : inputs) origins.push_back(input->origin());
    for (const KernelBuffer& constant : constants) packed.push_back(constant.origin());
    return kernel.run(origins, packed, output.origin());
  });
}

Result<Kernel> emulated_kernel(const KernelSpec& spec) {
  TRY(const CompiledKernel compiled, cache().compile(spec));
  TRY(const std::filesystem::path library, cache().shared_library(compiled, spec.target));
  return Kernel([=, constants = stored_constants(spec)](const std::vector<Memory*>& inputs,
                                                        Memory& output) mutable {
    std::vector<Floats> memories;
    std::vector<EmulatedArgument> arguments;
    const auto add = [&](const Floats& memory, const float* host) {
      const auto same = std::find_if(memories.begin(), memories.end(),
                                     [&](const Floats& m) { return m.data == memory.data; });
      arguments.push_back({static_cast<size_t>(same - memories.begin()), host - memory.data});
      if (same == memories.end()) memories.push_back(memory);
    };
    for (size_t i = 0; i < inputs.size(); ++i)
      add(inputs[i]->floats(), inputs[i]->host(input_layout(spec.inputs[i])));
    for (KernelBuffer& constant : constants)
      add({constant.origin(), constant.descriptor().shape[0]}, constant.origin());
    add(output.floats(), output.host(output_layout(spec.output)));
    return run_emulated(library, compiled.name, memories, arguments);
  });
}

Result<Kernel> delivered(const KernelSpec& spec, Delivery delivery) {
  if (emulates(spec.target)) return emulated_kernel(spec);
  return delivery == Delivery::jit ? jit_kernel(spec) : object_kernel(spec);
}

TensorDescriptor image(const Shape& shape, const Pad4& rim, int64_t more_channels) {
  Shape parent = shape;
  parent[1] += more_channels;
  TensorDescriptor d = channels_last(shape, rim);
  d.strides = channels_last(parent, rim).strides;
  return d;
}

Conv abstract_conv(const ConvCase& c) {
  Conv conv;
  conv.stride = c.stride;
  conv.dilation = c.dilation;
  conv.pad = c.pad;
  conv.groups = c.groups;
  conv.weight = abstract_constant({c.co, c.input[1] / c.groups, c.kernel[0], c.kernel[1]});
  if (c.bias) conv.bias = abstract_constant({c.co});
  conv.prologue = c.prologue;
  conv.epilogue.residual = c.residual;
  conv.epilogue.activation = c.activation;
  return conv;
}

}  // namespace

Conv ConvCase::conv() const {
  return std::get<Conv>(with_noise(abstract_conv(*this)));
}

KernelSpec ConvCase::spec() const {
  KernelSpec spec = abstract_spec();
  spec.op = with_noise(spec.op);
  return spec;
}

KernelSpec ConvCase::abstract_spec() const {
  KernelSpec spec;
  const Conv op = abstract_conv(*this);
  spec.op = op;
  Pad4 rim = pad;
  for (int side = 0; side < 4; ++side) rim[side] += more_rim[side];
  spec.inputs.push_back(image(input, rim, parent_channels));
  std::vector<Shape> shapes{input};
  // The residual has the output's shape, which infer_shape must be told.
  Conv plain = op;
  plain.epilogue.residual = false;
  const Shape shape = infer_shape(plain, shapes).value();
  if (residual) spec.inputs.push_back(image(shape, output_rim, parent_channels));
  spec.output = image(shape, output_rim, parent_channels);
  spec.target = "host";
  return spec;
}

std::string describe(const ConvCase& c) {
  const KernelSpec spec = c.spec();
  return fmt::format("{} on {}", to_text(spec.op), to_text(spec.inputs[0]));
}

Op with_noise(Op op) {
  const auto fill = [](Constant& c, uint64_t seed) {
    if (c && c->abstract()) c = noise_constant(c->shape, seed);
  };
  const auto fill_conv = [&](Conv& conv) {
    fill(conv.weight, k_weight_seed);
    fill(conv.bias, k_bias_seed);
    fill(conv.prologue.scale, k_bias_seed + 1);
    fill(conv.prologue.shift, k_bias_seed + 2);
    if (conv.prologue.activation) fill(conv.prologue.activation->slope, k_bias_seed + 3);
    if (conv.epilogue.activation) fill(conv.epilogue.activation->slope, k_bias_seed + 4);
  };
  if (auto* conv = std::get_if<Conv>(&op)) fill_conv(*conv);
  if (auto* chain = std::get_if<ConvChain>(&op))
    for (Conv& conv : chain->convs) fill_conv(conv);
  return op;
}

double conv_error(const KernelSpec& spec, Delivery delivery) {
  SCOPED_TRACE(
      fmt::format("{} with {}, schedule '{}'", to_text(spec.op), spec.algorithm, spec.schedule));
  constexpr float k_nan = std::numeric_limits<float>::quiet_NaN();
  constexpr double k_failed = std::numeric_limits<double>::infinity();
  const Result<Kernel> kernel = delivered(spec, delivery);
  if (!kernel.ok()) {
    ADD_FAILURE() << kernel.error().message;
    return k_failed;
  }
  const auto run = [&](const std::vector<Memory*>& inputs, Memory& output) {
    const Status status = (*kernel)(inputs, output);
    if (!status.ok()) ADD_FAILURE() << status.error().message;
    return status.ok();
  };
  std::vector<Tensor> values;
  std::deque<Memory> memories;
  std::vector<Memory*> inputs;
  for (const TensorDescriptor& d : spec.inputs) {
    const Tensor& value = values.emplace_back(noise(d.shape, 10 + inputs.size()));
    inputs.push_back(&memories.emplace_back(d, k_nan));
    inputs.back()->for_each(true,
                            [&](int64_t at, float& x) { x = at < 0 ? 0.0f : value.data[at]; });
  }
  Memory output(spec.output, k_nan);
  if (!run(inputs, output)) return k_failed;
  const Tensor expected = evaluate(spec.op, values);
  Tensor computed(expected.shape);
  output.for_each(false,
                  [&](int64_t at, float& x) { computed.data[at] = std::exchange(x, k_nan); });
  EXPECT_TRUE(output.all([](float x) { return std::isnan(x); })) << "written outside the output";
  if (may_overwrite_residual(spec) && run(inputs, *inputs[1])) {
    int64_t different = 0;
    inputs[1]->for_each(false, [&](int64_t at, float& x) { different += x != computed.data[at]; });
    EXPECT_EQ(different, 0) << "elements differ when the output lies over the residual";
  }
  return relative_to_largest(computed, expected);
}

void check_conv(const KernelSpec& spec, Delivery delivery) {
  EXPECT_LE(conv_error(spec, delivery), error_bound(spec));
}

void check_conv(const KernelSpec& spec, double bound) {
  EXPECT_LE(conv_error(spec), bound);
}

void check_conv(const ConvCase& c, const std::string& algorithm, const std::string& schedule,
                const std::string& target) {
  SCOPED_TRACE(describe(c));
  KernelSpec spec = c.spec();
  spec.algorithm = algorithm;
  spec.schedule = schedule;
  const Result<std::string> resolved = resolve_target(target);
  ASSERT_TRUE(resolved.ok()) << resolved.error().message;
  spec.target = *resolved;
  const Result<KernelSpec> full = completed(spec);
  ASSERT_TRUE(full.ok()) << full.error().message;
  check_conv(*full);
}

}  // namespace emulsion
