#include "conv_harness.h"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <utility>

#include "base/random.h"
#include "lower/algorithm.h"
#include "lower/buffer_layout.h"
#include "lower/lower.h"
#include "network/evaluate.h"

namespace emulsion {

namespace {

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

  float* host(const BufferLayout& layout) { return floats_.data() + origin_ + layout.host_offset; }

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

TensorDescriptor image(const Shape& shape, const Pad4& rim, int64_t more_channels) {
  Shape parent = shape;
  parent[1] += more_channels;
  TensorDescriptor d = channels_last(shape, rim);
  d.strides = channels_last(parent, rim).strides;
  return d;
}

}  // namespace

Conv ConvCase::conv() const {
  Conv conv;
  conv.stride = stride;
  conv.dilation = dilation;
  conv.pad = pad;
  conv.groups = groups;
  conv.weight = noise_constant({co, input[1] / groups, kernel[0], kernel[1]}, 1);
  if (bias) conv.bias = noise_constant({co}, 2);
  conv.prologue = prologue;
  conv.epilogue.residual = residual;
  conv.epilogue.activation = activation;
  return conv;
}

KernelSpec ConvCase::spec() const {
  KernelSpec spec;
  const Conv op = conv();
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

void check_conv(const KernelSpec& spec) {
  check_conv(spec, find_algorithm(spec.algorithm)->error_bound);
}

void check_conv(const KernelSpec& spec, double bound) {
  SCOPED_TRACE(
      fmt::format("{} with {}, schedule '{}'", to_text(spec.op), spec.algorithm, spec.schedule));
  Result<LoweredKernel> kernel = lower(spec);
  ASSERT_TRUE(kernel.ok()) << kernel.error().message;
  std::vector<Tensor> inputs;
  std::vector<std::unique_ptr<Memory>> memories;
  std::vector<Halide::Buffer<>> buffers;
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const TensorDescriptor& d : spec.inputs) {
    inputs.push_back(noise(d.shape, 10 + inputs.size()));
    Memory& memory = *memories.emplace_back(std::make_unique<Memory>(d, nan));
    memory.for_each(true,
                    [&](int64_t at, float& x) { x = at < 0 ? 0.0f : inputs.back().data[at]; });
    buffers.push_back(
        buffer(memory.host(input_layout(d)), kernel->arguments[buffers.size()].dimensions));
  }
  for (const PackedConstant& p : pack_constants(spec, spec.op)) {
    Halide::Buffer<> copy(Halide::Float(8 * bytes_of(p.type)), p.extents);
    ASSERT_EQ(copy.number_of_elements(), p.data.size());
    const std::string bytes = stored_bytes(p);
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    buffers.push_back(copy);
  }
  Memory result(spec.output, nan);
  buffers.push_back(buffer(result.host(output_layout(spec.output)), kernel->output.dimensions()));
  const Tensor expected = evaluate(spec.op, inputs);
  Tensor computed(expected.shape);
  try {
    const Halide::Callable callable = kernel->pipeline().compile_to_callable(
        kernel->arguments, kernel->target.with_feature(Halide::Target::JIT)
                               .with_feature(Halide::Target::NoAsserts)
                               .with_feature(Halide::Target::NoBoundsQuery));
    ASSERT_EQ(call(callable, buffers), 0);
    result.for_each(false,
                    [&](int64_t at, float& x) { computed.data[at] = std::exchange(x, nan); });
    if (may_overwrite_residual(spec)) {
      Memory& residual = *memories[1];
      buffers.back() =
          buffer(residual.host(output_layout(spec.output)), kernel->output.dimensions());
      ASSERT_EQ(call(callable, buffers), 0);
      int64_t different = 0;
      residual.for_each(false, [&](int64_t at, float& x) { different += x != computed.data[at]; });
      EXPECT_EQ(different, 0) << "elements differ when the output lies over the residual";
    }
  } catch (const Halide::Error& e) {
    FAIL() << e.what();
  }

  double largest = 0, worst = 0;
  int64_t where = -1;
  for (size_t at = 0; at < expected.data.size(); ++at) {
    largest = std::max(largest, std::abs(double{expected.data[at]}));
    const double difference = std::abs(double{computed.data[at]} - expected.data[at]);
    if (!(difference <= worst)) {
      worst = difference;
      where = static_cast<int64_t>(at);
    }
  }
  EXPECT_LE(worst, bound * largest) << "at element " << where;
  EXPECT_TRUE(result.all([](float x) { return std::isnan(x); })) << "written outside the output";
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
