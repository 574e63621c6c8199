// Plain loops of each op, as in their definitions.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "network/evaluate.h"

namespace emulsion {
namespace {

using Inputs = std::vector<Tensor>;

double softplus(double x) {
  return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x)));
}

float apply(const Activation& a, float x, float slope) {
  switch (a.kind) {
    case Activation::Kind::relu:
      return std::max(x, 0.0f);
    case Activation::Kind::leaky_relu:
      return x >= 0 ? x : a.alpha * x;
    case Activation::Kind::prelu:
      return x >= 0 ? x : slope * x;
    case Activation::Kind::clip:
      return std::min(std::max(x, a.alpha), a.beta);
    case Activation::Kind::sigmoid:
      return static_cast<float>(1.0 / (1.0 + std::exp(-double{x})));
    case Activation::Kind::hard_sigmoid:
      return std::max(0.0f, std::min(1.0f, a.alpha * x + a.beta));
    case Activation::Kind::hard_swish:
      return static_cast<float>(x * std::max(0.0, std::min(1.0, x / 6.0 + 0.5)));
    case Activation::Kind::silu:
      return static_cast<float>(x / (1.0 + std::exp(-double{x})));
    case Activation::Kind::gelu:
      return static_cast<float>(0.5 * x * (1.0 + std::erf(x * std::numbers::sqrt2 / 2)));
    case Activation::Kind::gelu_tanh: {
      const double inner = x + 0.044715 * x * x * double{x};
      return static_cast<float>(0.5 * x *
                                (1.0 + std::tanh(std::sqrt(2 * std::numbers::inv_pi) * inner)));
    }
    case Activation::Kind::mish:
      return static_cast<float>(x * std::tanh(softplus(x)));
    case Activation::Kind::elu:
      return x >= 0 ? x : static_cast<float>(a.alpha * std::expm1(double{x}));
    case Activation::Kind::softplus:
      return static_cast<float>(softplus(x));
    case Activation::Kind::tanh:
      return static_cast<float>(std::tanh(double{x}));
    case Activation::Kind::erf:
      return static_cast<float>(std::erf(double{x}));
    case Activation::Kind::exp:
      return static_cast<float>(std::exp(double{x}));
    case Activation::Kind::log:
      return static_cast<float>(std::log(double{x}));
    case Activation::Kind::sqrt:
      return std::sqrt(x);
    case Activation::Kind::abs:
      return std::abs(x);
    case Activation::Kind::power:
      return static_cast<float>(std::pow(double{x}, double{a.alpha}));
  }
  return x;
}

// Elements of one channel that follow each other, and how many channels; (all, 1) where there are
// none.
int64_t channel_stride(const Shape& shape) {
  int64_t stride = 1;
  for (size_t i = 2; i < shape.size(); ++i) stride *= shape[i];
  return stride;
}

// y[i] = f(y[i], channel of i)
template <class F>
void for_each_with_channel(Tensor& y, F&& f) {
  const int64_t channels = y.shape.size() >= 2 ? y.shape[1] : 1;
  const int64_t inner = channel_stride(y.shape);
  const int64_t outer = element_count(y.shape) / (channels * inner);
  float* at = y.data.data();
  for (int64_t n = 0; n < outer; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t i = 0; i < inner; ++i, ++at) *at = f(*at, c);
    }
  }
}

void activate(Tensor& y, const Activation& a) {
  const bool per_channel = a.slope && element_count(a.slope->shape) > 1;
  for_each_with_channel(y, [&](float x, int64_t c) {
    return apply(a, x, a.slope ? a.slope->data[per_channel ? c : 0] : 0.0f);
  });
}

void activate(Tensor& y, const std::optional<Activation>& a) {
  if (a) activate(y, *a);
}

void scale_and_shift(Tensor& y, const Tensor& scale, const Tensor& shift) {
  for_each_with_channel(y, [&](float x, int64_t c) { return scale.data[c] * x + shift.data[c]; });
}

// A conv's input after the prologue, as planes of doubles with the padding written out.
std::vector<double> padded_input(const Conv& conv, const Tensor& input) {
  Tensor x = input;
  if (conv.prologue.scale) scale_and_shift(x, *conv.prologue.scale, *conv.prologue.shift);
  activate(x, conv.prologue.activation);
  const int64_t planes = x.shape[0] * x.shape[1], rows = x.shape[2], columns = x.shape[3];
  const auto [top, left, bottom, right] = conv.pad;
  const int64_t padded_rows = rows + top + bottom, padded_columns = columns + left + right;
  std::vector<double> padded(planes * padded_rows * padded_columns, 0.0);
  for (int64_t plane = 0; plane < planes; ++plane) {
    for (int64_t row = 0; row < rows; ++row) {
      const float* from = &x.data[(plane * rows + row) * columns];
      std::copy(from, from + columns,
                &padded[(plane * padded_rows + top + row) * padded_columns + left]);
    }
  }
  return padded;
}

// sums[y][x] += w * in[y * stride][x * stride] for one tap.
void add_tap(double w, const double* in, int64_t in_columns, const Extent2& stride, int64_t rows,
             int64_t columns, double* sums) {
  for (int64_t y = 0; y < rows; ++y) {
    const double* from = in + y * stride[0] * in_columns;
    double* to = sums + y * columns;
    if (stride[1] == 1) {
      for (int64_t x = 0; x < columns; ++x) to[x] += w * from[x];
    } else {
      for (int64_t x = 0; x < columns; ++x) to[x] += w * from[x * stride[1]];
    }
  }
}

Tensor run(const Conv& conv, const Inputs& inputs, Shape shape) {
  const Shape& in = inputs[0].shape;
  const Shape& weight = conv.weight->shape;
  const int64_t in_columns = in[3] + conv.pad[1] + conv.pad[3];
  const int64_t in_plane = (in[2] + conv.pad[0] + conv.pad[2]) * in_columns;
  const int64_t co_per_group = shape[1] / conv.groups, ci_per_group = weight[1];
  int64_t rows = shape[2], columns = shape[3];
  const int64_t plane = rows * columns;
  if (conv.stride == Extent2{1, 1} && in_plane == plane) {  // a 1x1 without padding: one long row
    rows = 1;
    columns = plane;
  }
  const std::vector<double> padded = padded_input(conv, inputs[0]);
  Tensor y(std::move(shape));
  std::vector<double> sums(plane);
  for (int64_t n = 0; n < y.shape[0]; ++n) {
    for (int64_t co = 0; co < y.shape[1]; ++co) {
      std::fill(sums.begin(), sums.end(), conv.bias ? double{conv.bias->data[co]} : 0.0);
      const float* w = &conv.weight->data[co * ci_per_group * weight[2] * weight[3]];
      for (int64_t ci = 0; ci < ci_per_group; ++ci) {
        const int64_t channel = co / co_per_group * ci_per_group + ci;
        const double* from = &padded[(n * in[1] + channel) * in_plane];
        for (int64_t ky = 0; ky < weight[2]; ++ky) {
          for (int64_t kx = 0; kx < weight[3]; ++kx, ++w) {
            add_tap(*w, from + ky * conv.dilation[0] * in_columns + kx * conv.dilation[1],
                    in_columns, conv.stride, rows, columns, sums.data());
          }
        }
      }
      const int64_t at = (n * y.shape[1] + co) * plane;
      for (int64_t i = 0; i < plane; ++i) {
        const double residual = conv.epilogue.residual ? inputs[1].data[at + i] : 0.0;
        y.data[at + i] = static_cast<float>(sums[i] + residual);
      }
    }
  }
  activate(y, conv.epilogue.activation);
  return y;
}

Tensor run(const Dense& dense, const Inputs& inputs, Shape shape) {
  const int64_t m = dense.weight->shape[0], k = dense.weight->shape[1];
  Tensor y(std::move(shape));
  const int64_t rows = element_count(y.shape) / m;
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t co = 0; co < m; ++co) {
      double sum = dense.bias ? dense.bias->data[co] : 0.0;
      for (int64_t ci = 0; ci < k; ++ci) {
        sum += double{inputs[0].data[row * k + ci]} * dense.weight->data[co * k + ci];
      }
      y.data[row * m + co] = static_cast<float>(sum);
    }
  }
  activate(y, dense.activation);
  return y;
}

Tensor run(const BatchNorm& o, const Inputs& inputs, const Shape&) {
  Tensor y = inputs[0];
  for_each_with_channel(y, [&](float x, int64_t c) {
    const double deviation = std::sqrt(double{o.variance->data[c]} + o.epsilon);
    return static_cast<float>(o.scale->data[c] * (double{x} - o.mean->data[c]) / deviation +
                              o.shift->data[c]);
  });
  return y;
}

Tensor run(const Affine& o, const Inputs& inputs, const Shape&) {
  Tensor y = inputs[0];
  scale_and_shift(y, *o.scale, *o.shift);
  activate(y, o.activation);
  return y;
}

Tensor run(const Activation& o, const Inputs& inputs, const Shape&) {
  Tensor y = inputs[0];
  activate(y, o);
  return y;
}

// Row-major strides.
std::vector<int64_t> strides_of(const Shape& shape) {
  return row_major(shape).strides;
}

// Calls f(output position, source position) for every element of an output whose source index is
// affine in the output's index: origin + sum of index[i] * strides[i].
template <class F>
void for_each_affine(const Shape& shape, int64_t origin, const std::vector<int64_t>& strides,
                     F&& f) {
  const int64_t count = element_count(shape);
  std::vector<int64_t> index(shape.size(), 0);
  int64_t source = origin;
  for (int64_t at = 0; at < count; ++at) {
    f(at, source);
    for (size_t i = shape.size(); i-- > 0;) {
      source += strides[i];
      if (++index[i] < shape[i]) break;
      source -= strides[i] * shape[i];
      index[i] = 0;
    }
  }
}

// Strides that read x as if it were broadcast to shape.
std::vector<int64_t> broadcast_strides(const Shape& x, const Shape& shape) {
  const std::vector<int64_t> own = strides_of(x);
  std::vector<int64_t> strides(shape.size(), 0);
  for (size_t i = 0; i < x.size(); ++i) {
    if (x[i] != 1) strides[shape.size() - x.size() + i] = own[i];
  }
  return strides;
}

Tensor run(const Binary& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  const std::vector<float>& a = inputs[0].data;
  const std::vector<float>& b = inputs[1].data;
  for_each_affine(y.shape, 0, broadcast_strides(inputs[0].shape, y.shape),
                  [&](int64_t at, int64_t source) { y.data[at] = a[source]; });
  for_each_affine(y.shape, 0, broadcast_strides(inputs[1].shape, y.shape),
                  [&](int64_t at, int64_t source) {
                    float& x = y.data[at];
                    switch (o.kind) {
                      case Binary::Kind::add:
                        x += b[source];
                        break;
                      case Binary::Kind::sub:
                        x -= b[source];
                        break;
                      case Binary::Kind::mul:
                        x *= b[source];
                        break;
                      case Binary::Kind::div:
                        x /= b[source];
                        break;
                      case Binary::Kind::pow:
                        x = static_cast<float>(std::pow(double{x}, double{b[source]}));
                        break;
                    }
                  });
  activate(y, o.activation);
  return y;
}

Tensor run(const Literal& o, const Inputs&, const Shape&) {
  return *o.value;
}

Tensor run(const Concat& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  int64_t origin = 0;
  for (const Tensor& x : inputs) {
    for_each_affine(x.shape, origin, strides_of(y.shape),
                    [&](int64_t at, int64_t target) { y.data[target] = x.data[at]; });
    origin += x.shape[o.axis] * strides_of(y.shape)[o.axis];
  }
  return y;
}

Tensor run(const Slice& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  std::vector<int64_t> strides = strides_of(inputs[0].shape);
  int64_t origin = 0;
  for (size_t i = 0; i < strides.size(); ++i) {
    origin += o.starts[i] * strides[i];
    strides[i] *= o.steps[i];
  }
  for_each_affine(y.shape, origin, strides,
                  [&](int64_t at, int64_t source) { y.data[at] = inputs[0].data[source]; });
  return y;
}

// Where output index `at` of a padded dimension reads, or -1 for the constant.
int64_t padded_source(Pad::Mode mode, int64_t at, int64_t before, int64_t extent) {
  const int64_t source = at - before;
  if (source >= 0 && source < extent) return source;
  switch (mode) {
    case Pad::Mode::constant:
      return -1;
    case Pad::Mode::edge:
      return std::clamp<int64_t>(source, 0, extent - 1);
    case Pad::Mode::reflect:
      return source < 0 ? -source : 2 * (extent - 1) - source;
  }
  return -1;
}

Tensor run(const Pad& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape), o.value);
  const Tensor& x = inputs[0];
  const std::vector<int64_t> to = strides_of(y.shape), from = strides_of(x.shape);
  for (size_t at = 0; at < y.data.size(); ++at) {
    int64_t source = 0;
    for (size_t i = 0; i < to.size() && source >= 0; ++i) {
      const int64_t index = static_cast<int64_t>(at) / to[i] % y.shape[i];
      const int64_t place = padded_source(o.mode, index, o.before[i], x.shape[i]);
      source = place < 0 ? -1 : source + place * from[i];
    }
    if (source >= 0) y.data[at] = x.data[source];
  }
  return y;
}

// One window of a pool, over one plane.
float pool_window(const Pool& o, const float* plane, int64_t rows, int64_t columns, int64_t y,
                  int64_t x) {
  double sum = 0;
  float largest = -std::numeric_limits<float>::infinity();
  int64_t inside = 0, padded = 0;
  for (int64_t ky = 0; ky < o.kernel[0]; ++ky) {
    const int64_t row = y * o.stride[0] - o.pad[0] + ky * o.dilation[0];
    for (int64_t kx = 0; kx < o.kernel[1]; ++kx) {
      const int64_t column = x * o.stride[1] - o.pad[1] + kx * o.dilation[1];
      padded += row < rows + o.pad[2] && column < columns + o.pad[3];
      if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
      ++inside;
      sum += plane[row * columns + column];
      largest = std::max(largest, plane[row * columns + column]);
    }
  }
  if (o.kind == Pool::Kind::max) return largest;
  return static_cast<float>(sum / static_cast<double>(o.count_include_pad ? padded : inside));
}

Tensor run(const Pool& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  const int64_t rows = inputs[0].shape[2], columns = inputs[0].shape[3];
  float* at = y.data.data();
  for (int64_t plane = 0; plane < y.shape[0] * y.shape[1]; ++plane) {
    const float* from = &inputs[0].data[plane * rows * columns];
    for (int64_t row = 0; row < y.shape[2]; ++row) {
      for (int64_t column = 0; column < y.shape[3]; ++column) {
        *at++ = pool_window(o, from, rows, columns, row, column);
      }
    }
  }
  return y;
}

// The means over some axes of f(place of an element, place of its mean).
template <class F>
std::vector<double> means_of(const Shape& x, const std::vector<int>& axes, F&& f) {
  Shape kept = x;
  for (const int axis : axes) kept[axis] = 1;
  std::vector<double> sums(element_count(kept), 0.0);
  for_each_affine(x, 0, broadcast_strides(kept, x),
                  [&](int64_t at, int64_t target) { sums[target] += f(at, target); });
  const auto count = static_cast<double>(element_count(x) / element_count(kept));
  for (double& sum : sums) sum /= count;
  return sums;
}

Tensor run(const ReduceMean& o, const Inputs& inputs, Shape shape) {
  const Tensor& x = inputs[0];
  const std::vector<double> means =
      means_of(x.shape, o.axes, [&](int64_t at, int64_t) { return double{x.data[at]}; });
  Tensor y(std::move(shape));
  for (size_t i = 0; i < means.size(); ++i) y.data[i] = static_cast<float>(means[i]);
  return y;
}

Tensor run(const Normalize& o, const Inputs& inputs, const Shape&) {
  Tensor y = inputs[0];
  const std::vector<double> means =
      means_of(y.shape, o.axes, [&](int64_t at, int64_t) { return double{y.data[at]}; });
  const std::vector<double> variances = means_of(y.shape, o.axes, [&](int64_t at, int64_t mean) {
    const double centred = y.data[at] - means[mean];
    return centred * centred;
  });
  Shape kept = y.shape;
  for (const int axis : o.axes) kept[axis] = 1;
  for_each_affine(y.shape, 0, broadcast_strides(kept, y.shape), [&](int64_t at, int64_t mean) {
    const double deviation = std::sqrt(variances[mean] + o.epsilon);
    y.data[at] = static_cast<float>((y.data[at] - means[mean]) / deviation);
  });
  return y;
}

Tensor run(const Reshape&, const Inputs& inputs, Shape shape) {
  return Tensor(std::move(shape), inputs[0].data);
}

Tensor run(const Transpose& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  const std::vector<int64_t> own = strides_of(inputs[0].shape);
  std::vector<int64_t> strides;
  for (const int axis : o.permutation) strides.push_back(own[axis]);
  for_each_affine(y.shape, 0, strides,
                  [&](int64_t at, int64_t source) { y.data[at] = inputs[0].data[source]; });
  return y;
}

Tensor run(const Softmax& o, const Inputs& inputs, const Shape&) {
  Tensor y = inputs[0];
  const int64_t extent = y.shape[o.axis], stride = strides_of(y.shape)[o.axis];
  for (int64_t at = 0; at < element_count(y.shape); ++at) {
    if (at / stride % extent != 0) continue;  // one line of the axis starts here
    float largest = -std::numeric_limits<float>::infinity();
    for (int64_t i = 0; i < extent; ++i) largest = std::max(largest, y.data[at + i * stride]);
    double sum = 0;
    for (int64_t i = 0; i < extent; ++i) sum += std::exp(double{y.data[at + i * stride]} - largest);
    for (int64_t i = 0; i < extent; ++i) {
      float& x = y.data[at + i * stride];
      x = static_cast<float>(std::exp(double{x} - largest) / sum);
    }
  }
  return y;
}

Tensor run(const Resize& o, const Inputs& inputs, Shape shape) {
  Tensor y(std::move(shape));
  const int64_t rows = inputs[0].shape[2], columns = inputs[0].shape[3];
  float* at = y.data.data();
  for (int64_t plane = 0; plane < y.shape[0] * y.shape[1]; ++plane) {
    for (const int row : o.rows) {
      for (const int column : o.columns)
        *at++ = inputs[0].data[(plane * rows + row) * columns + column];
    }
  }
  return y;
}

Tensor run(const ConvChain& chain, const Inputs& inputs, const Shape&) {
  const auto shapes = chain_shapes(chain, inputs[0].shape);
  EMULSION_CHECK(shapes.ok());
  Inputs of_conv = inputs;
  for (size_t i = 0; i < chain.convs.size(); ++i)
    of_conv[0] = run(chain.convs[i], of_conv, (*shapes)[i]);
  return of_conv[0];
}

Tensor run(const Copy&, const Inputs& inputs, const Shape&) {
  return inputs[0];
}

}  // namespace

Tensor evaluate(const Op& op, const std::vector<Tensor>& inputs) {
  std::vector<Shape> shapes;
  for (const Tensor& x : inputs) shapes.push_back(x.shape);
  Result<Shape> shape = infer_shape(op, shapes);
  EMULSION_CHECK(shape.ok());
  return std::visit([&](const auto& o) { return run(o, inputs, *shape); }, op);
}

}  // namespace emulsion
