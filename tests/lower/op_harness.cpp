#include "op_harness.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/random.h"
#include "lower/algorithm.h"
#include "lower/buffer_layout.h"
#include "lower/lower.h"
#include "network/evaluate.h"

namespace emulsion {

namespace {

constexpr float k_untouched = 12345.0f;

// A tensor's memory: from the first element of its rim to the last.
class Memory {
 public:
  explicit Memory(const TensorDescriptor& d, float fill) : d_(d) {
    const BufferLayout layout = input_layout(d);
    int64_t elements = 1;
    for (const BufferDimension& dim : layout.dimensions)
      elements += int64_t{dim.extent - 1} * dim.stride;
    origin_ = -layout.host_offset;
    data_.assign(elements, fill);
  }

  float* at(const BufferLayout& layout) { return data_.data() + origin_ + layout.host_offset; }

  template <class F>
  void for_each(F&& f) {
    std::vector<int64_t> index(d_.shape.size(), 0);
    for (int64_t i = 0; i < element_count(d_.shape); ++i) {
      int64_t rest = i, offset = origin_;
      for (size_t axis = index.size(); axis-- > 0;) {
        offset += rest % d_.shape[axis] * d_.strides[axis];
        rest /= d_.shape[axis];
      }
      f(i, data_[offset]);
    }
  }

  std::vector<float>& data() { return data_; }

 private:
  TensorDescriptor d_;
  int64_t origin_ = 0;
  std::vector<float> data_;
};

Halide::Buffer<> buffer(float* host, const BufferLayout& layout) {
  std::vector<halide_dimension_t> dims;
  for (const BufferDimension& d : layout.dimensions) dims.emplace_back(d.min, d.extent, d.stride);
  return Halide::Buffer<float>(host, static_cast<int>(dims.size()), dims.data());
}

template <size_t... I>
int call(const Halide::Callable& callable, std::vector<Halide::Buffer<>>& buffers,
         std::index_sequence<I...>) {
  return callable(buffers[I]...);
}

template <size_t Count = 1>
int call(const Halide::Callable& callable, std::vector<Halide::Buffer<>>& buffers) {
  if constexpr (Count > 8) {
    ADD_FAILURE() << "too many arguments";
    return -1;
  } else {
    if (buffers.size() == Count) return call(callable, buffers, std::make_index_sequence<Count>());
    return call<Count + 1>(callable, buffers);
  }
}

}  // namespace

const char* layout_name(Layout layout) {
  switch (layout) {
    case Layout::row_major:
      return "row_major";
    case Layout::channels_last:
      return "channels_last";
    case Layout::rim:
      return "rim";
    case Layout::slice:
      return "slice";
  }
  return "";
}

TensorDescriptor descriptor(const Shape& shape, Layout layout) {
  const bool image = shape.size() == 4;
  TensorDescriptor d;
  if (image && layout != Layout::row_major) {
    const Pad4 rim = layout == Layout::channels_last ? Pad4{0, 0, 0, 0} : Pad4{1, 2, 3, 1};
    d = channels_last(shape, rim);
    if (layout == Layout::slice) {
      Shape parent = shape;
      parent[1] += 5;
      d.strides = channels_last(parent, rim).strides;
    }
  } else {
    d = row_major(shape);
    if (layout == Layout::slice && shape.size() > 1) {
      Shape parent = shape;
      parent.back() += 3;
      d.strides = row_major(parent).strides;
    }
  }
  return d;
}

Tensor noise(const Shape& shape, uint64_t seed) {
  const RandomStream random(seed);
  Tensor t(shape);
  for (size_t i = 0; i < t.data.size(); ++i)
    t.data[i] = static_cast<float>(random.uniform(i, -2.0, 2.0));
  return t;
}

Constant noise_constant(const Shape& shape, uint64_t seed) {
  return std::make_shared<const Tensor>(noise(shape, seed));
}

void check_op(const Op& op, const std::vector<Shape>& shapes, Layout in, Layout out,
              const std::string& target, ElementType weights, double* error) {
  SCOPED_TRACE(fmt::format("{} from {} to {}, input {}", to_text(op), layout_name(in),
                           layout_name(out), shapes.empty() ? "none" : to_text(shapes[0])));
  const Result<Shape> shape = infer_shape(op, shapes);
  ASSERT_TRUE(shape.ok()) << shape.error().message;
  std::vector<Tensor> inputs;
  KernelSpec spec;
  spec.op = op;
  spec.target = *resolve_target(target);
  spec.weights = weights;
  for (const Shape& s : shapes) {
    inputs.push_back(noise(s, inputs.size() + 1));
    spec.inputs.push_back(descriptor(s, in));
  }
  spec.output = descriptor(*shape, out);
  const Result<KernelSpec> full = completed(spec);
  ASSERT_TRUE(full.ok()) << full.error().message;
  Result<LoweredKernel> kernel = lower(*full);
  ASSERT_TRUE(kernel.ok()) << kernel.error().message;

  // Input rims are zero, as in a network; what lies between a slice's elements is not.
  std::vector<Memory> memories;
  std::vector<Halide::Buffer<>> buffers;
  for (size_t i = 0; i < inputs.size(); ++i) {
    Memory& memory = memories.emplace_back(spec.inputs[i], 0.0f);
    memory.for_each([&](int64_t at, float& x) { x = inputs[i].data[at]; });
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    const BufferLayout layout = input_layout(spec.inputs[i]);
    buffers.push_back(buffer(memories[i].at(layout), layout));
  }
  std::vector<PackedConstant> packed = pack_constants(*full, op);
  for (const PackedConstant& p : packed) {
    Halide::Buffer<> copy(Halide::Float(8 * bytes_of(p.type)), p.extents);
    ASSERT_EQ(copy.number_of_elements(), p.data.size());
    const std::string bytes = stored_bytes(p);
    std::memcpy(copy.data(), bytes.data(), bytes.size());
    buffers.push_back(copy);
  }
  Memory result(spec.output, k_untouched);
  const BufferLayout layout = output_layout(spec.output);
  buffers.push_back(buffer(result.at(layout), layout));

  try {
    const Halide::Callable callable = kernel->output.compile_to_callable(
        kernel->arguments, kernel->target.with_feature(Halide::Target::JIT));
    ASSERT_EQ(call(callable, buffers), 0);
  } catch (const Halide::Error& e) {
    FAIL() << e.what();
  }

  const Tensor expected = evaluate(op, inputs);
  double largest = 0, worst = 0;
  int64_t where = -1;
  result.for_each([&](int64_t at, float& x) {
    largest = std::max(largest, std::abs(double{expected.data[at]}));
    const double difference = std::abs(double{x} - expected.data[at]);
    if (!(difference <= worst)) {
      worst = difference;
      where = at;
    }
    x = k_untouched;
  });
  EXPECT_LE(worst, error_bound(*full) * largest) << "at element " << where;
  if (error) *error = worst / largest;
  EXPECT_TRUE(std::all_of(result.data().begin(), result.data().end(), [](float x) {
    return x == k_untouched;
  })) << "written outside the output";
}

void check_op(const Op& op, const std::vector<Shape>& inputs) {
  const Result<Shape> shape = infer_shape(op, inputs);
  ASSERT_TRUE(shape.ok()) << shape.error().message;
  std::vector<std::pair<std::vector<TensorDescriptor>, TensorDescriptor>> done;
  for (const auto& [in, out] : {std::pair{Layout::row_major, Layout::row_major},
                                {Layout::row_major, Layout::rim},
                                {Layout::rim, Layout::row_major},
                                {Layout::channels_last, Layout::slice},
                                {Layout::slice, Layout::rim}}) {
    std::pair<std::vector<TensorDescriptor>, TensorDescriptor> layouts;
    for (const Shape& s : inputs) layouts.first.push_back(descriptor(s, in));
    layouts.second = descriptor(*shape, out);
    if (std::find(done.begin(), done.end(), layouts) != done.end()) continue;
    done.push_back(layouts);
    check_op(op, inputs, in, out);
  }
}

}  // namespace emulsion
