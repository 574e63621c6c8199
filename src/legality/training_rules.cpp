#include "legality/training_rules.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <numbers>

namespace emulsion {
namespace {

constexpr double k_batch_norm_epsilon = 1e-5;

Kept keep_nothing(const Op&) {
  return {};
}
Kept keep_output(const Op&) {
  return {.output = true};
}

template <class T>
void prepare_output(LayerPass<T>& pass) {
  std::vector<Shape> shapes;
  for (const Array<T>* input : pass.inputs) shapes.push_back(input->shape);
  auto shape = infer_shape(pass.op, shapes);
  EMULSION_CHECK(shape.ok());
  *pass.output = Array<T>(std::move(shape).value());
}

// ---- conv, dense

template <class T>
Status conv_forward(LayerPass<T>& pass) {
  TRY(*pass.output, pass.engine.forward(std::get<Conv>(pass.op), *pass.inputs[0], pass.weights));
  return ok();
}

template <class T>
Status conv_backward(LayerPass<T>& pass) {
  TRY(pass.gradients[0], pass.engine.backward(std::get<Conv>(pass.op), pass.inputs[0]->shape,
                                              *pass.gradient, pass.weights));
  return ok();
}

template <class T>
Status dense_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const int64_t k = pass.inputs[0]->shape.back(), m = pass.output->shape.back();
  const int64_t rows = element_count(pass.output->shape) / m;
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < m; ++j) {
      double sum = 0;
      for (int64_t i = 0; i < k; ++i) {
        sum += static_cast<double>(pass.inputs[0]->data[r * k + i]) * pass.weights[j * k + i];
      }
      pass.output->data[r * m + j] = static_cast<T>(sum);
    }
  return ok();
}

template <class T>
Status dense_backward(LayerPass<T>& pass) {
  const int64_t k = pass.inputs[0]->shape.back(), m = pass.gradient->shape.back();
  const int64_t rows = element_count(pass.gradient->shape) / m;
  pass.gradients[0] = Array<T>(pass.inputs[0]->shape, T(0));
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t j = 0; j < m; ++j) {
      const T g = pass.gradient->data[r * m + j];
      for (int64_t i = 0; i < k; ++i)
        pass.gradients[0].data[r * k + i] += g * pass.weights[j * k + i];
    }
  return ok();
}

// ---- batch norm in training mode: statistics of the batch, biased variance, scale 1, shift 0.
// Channels lie innermost in rank-4 and rank-2 arrays alike.

template <class T>
Status batch_norm_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const int64_t c = x.shape[1], rows = element_count(x.shape) / c;
  std::vector<double> mean(c, 0.0), inverse(c, 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i) mean[i] += x.data[r * c + i];
  for (double& m : mean) m /= static_cast<double>(rows);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i) {
      const double d = x.data[r * c + i] - mean[i];
      inverse[i] += d * d;
    }
  for (double& v : inverse) {
    v = 1.0 / std::sqrt(v / static_cast<double>(rows) + k_batch_norm_epsilon);
  }
  std::vector<T> shift(mean.begin(), mean.end()), scale(inverse.begin(), inverse.end());
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i) {
      pass.output->data[r * c + i] = (x.data[r * c + i] - shift[i]) * scale[i];
    }
  *pass.saved = std::move(inverse);
  return ok();
}

// dx = inverse (g - mean(g) - y mean(g y)), with y the output.
template <class T>
Status batch_norm_backward(LayerPass<T>& pass) {
  const Array<T>&y = *pass.output, &g = *pass.gradient;
  const int64_t c = y.shape[1], rows = element_count(y.shape) / c;
  std::vector<double> sum(c, 0.0), dot(c, 0.0);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i) {
      const double gradient = g.data[r * c + i];
      sum[i] += gradient;
      dot[i] += gradient * y.data[r * c + i];
    }
  std::vector<T> mean(c), slope(c), scale(c);
  for (int64_t i = 0; i < c; ++i) {
    mean[i] = static_cast<T>(sum[i] / static_cast<double>(rows));
    slope[i] = static_cast<T>(dot[i] / static_cast<double>(rows));
    scale[i] = static_cast<T>((*pass.saved)[i]);
  }
  Array<T> result(y.shape);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < c; ++i) {
      const int64_t at = r * c + i;
      result.data[at] = scale[i] * (g.data[at] - mean[i] - y.data[at] * slope[i]);
    }
  pass.gradients[0] = std::move(result);
  return ok();
}

// ---- affine per channel, its activation apart

template <class T>
Status affine_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Affine& affine = std::get<Affine>(pass.op);
  const Array<T>& x = *pass.inputs[0];
  const std::vector<float>&scale = affine.scale->data, &shift = affine.shift->data;
  const int64_t c = x.shape[1], n = element_count(x.shape);
  const int64_t inner = x.shape.size() == 4 ? 1 : n / (x.shape[0] * c);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t channel = i / inner % c;
    pass.output->data[i] =
        x.data[i] * static_cast<T>(scale[channel]) + static_cast<T>(shift[channel]);
  }
  return ok();
}

template <class T>
Status affine_backward(LayerPass<T>& pass) {
  const std::vector<float>& scale = std::get<Affine>(pass.op).scale->data;
  const Array<T>& g = *pass.gradient;
  const int64_t c = g.shape[1], n = element_count(g.shape);
  const int64_t inner = g.shape.size() == 4 ? 1 : n / (g.shape[0] * c);
  pass.gradients[0] = Array<T>(g.shape);
  for (int64_t i = 0; i < n; ++i) {
    pass.gradients[0].data[i] = g.data[i] * static_cast<T>(scale[i / inner % c]);
  }
  return ok();
}

// ---- activations: value and slope at x

template <class T>
struct ValueSlope {
  T value, slope;
};

template <class T>
ValueSlope<T> activate(const Activation& a, T x) {
  const T alpha = static_cast<T>(a.alpha), beta = static_cast<T>(a.beta);
  switch (a.kind) {
    case Activation::Kind::relu:
      return x > 0 ? ValueSlope<T>{x, T(1)} : ValueSlope<T>{T(0), T(0)};
    case Activation::Kind::leaky_relu:
    case Activation::Kind::prelu:  // alpha is the slope here
      return x >= 0 ? ValueSlope<T>{x, T(1)} : ValueSlope<T>{alpha * x, alpha};
    case Activation::Kind::clip:
      if (x < alpha) return {alpha, T(0)};
      if (x > beta) return {beta, T(0)};
      return {x, T(1)};
    case Activation::Kind::sigmoid: {
      const T s = T(1) / (T(1) + std::exp(-x));
      return {s, s * (T(1) - s)};
    }
    case Activation::Kind::hard_sigmoid: {
      const T s = alpha * x + beta;
      if (s < 0) return {T(0), T(0)};
      if (s > 1) return {T(1), T(0)};
      return {s, alpha};
    }
    case Activation::Kind::hard_swish: {
      if (x < -3) return {T(0), T(0)};
      if (x > 3) return {x, T(1)};
      return {x * (x / 6 + T(0.5)), x / 3 + T(0.5)};
    }
    case Activation::Kind::silu: {
      const T s = T(1) / (T(1) + std::exp(-x));
      return {x * s, s * (T(1) + x * (T(1) - s))};
    }
    case Activation::Kind::gelu: {
      const T share = (T(1) + std::erf(x * std::numbers::sqrt2_v<T> / 2)) / 2;
      const T density =
          std::exp(-x * x / 2) * std::numbers::inv_sqrtpi_v<T> / std::numbers::sqrt2_v<T>;
      return {x * share, share + x * density};
    }
    case Activation::Kind::gelu_tanh: {
      const T factor = std::sqrt(2 * std::numbers::inv_pi_v<T>), cubic = T(0.044715);
      const T t = std::tanh(factor * (x + cubic * x * x * x));
      const T inner = factor * (T(1) + 3 * cubic * x * x);
      return {x * (T(1) + t) / 2, (T(1) + t + x * (T(1) - t * t) * inner) / 2};
    }
    case Activation::Kind::mish: {
      const T s = T(1) / (T(1) + std::exp(-x));
      const T t = std::tanh(std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))));
      return {x * t, t + x * (T(1) - t * t) * s};
    }
    case Activation::Kind::elu:
      if (x >= 0) return {x, T(1)};
      return {alpha * std::expm1(x), alpha * std::exp(x)};
    case Activation::Kind::softplus:
      return {std::max(x, T(0)) + std::log1p(std::exp(-std::abs(x))), T(1) / (T(1) + std::exp(-x))};
    case Activation::Kind::tanh: {
      const T t = std::tanh(x);
      return {t, T(1) - t * t};
    }
    case Activation::Kind::erf:
      return {std::erf(x), 2 * std::numbers::inv_sqrtpi_v<T> * std::exp(-x * x)};
    case Activation::Kind::exp:
      return {std::exp(x), std::exp(x)};
    case Activation::Kind::log:
      return {std::log(x), T(1) / x};
    case Activation::Kind::sqrt:
      return {std::sqrt(x), T(0.5) / std::sqrt(x)};
    case Activation::Kind::abs:
      return {std::abs(x), x < 0 ? T(-1) : T(1)};
    case Activation::Kind::power:
      return {std::pow(x, alpha), alpha * std::pow(x, alpha - T(1))};
  }
  EMULSION_CHECK(false);
}

Kept activation_keeps(const Op& op) {
  const bool relu = std::get<Activation>(op).kind == Activation::Kind::relu;
  return {.inputs = !relu, .output = relu};
}

// Calls f(i, activation with its slope in alpha) for every element.
template <class T, class F>
void for_each_activated(const Activation& activation, const Array<T>& x, F f) {
  Activation a = activation;
  const int64_t n = element_count(x.shape);
  if (a.kind != Activation::Kind::prelu || a.slope->data.size() == 1) {
    if (a.kind == Activation::Kind::prelu) a.alpha = a.slope->data[0];
    for (int64_t i = 0; i < n; ++i) f(i, a);
    return;
  }
  const int64_t c = x.shape[1];
  const int64_t inner = x.shape.size() == 4 ? 1 : n / (x.shape[0] * c);
  for (int64_t i = 0; i < n; ++i) {
    a.alpha = a.slope->data[i / inner % c];
    f(i, a);
  }
}

template <class T>
Status activation_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Activation& activation = std::get<Activation>(pass.op);
  const Array<T>& x = *pass.inputs[0];
  Array<T>& y = *pass.output;
  if (activation.kind == Activation::Kind::relu) {
    const size_t n = x.data.size();
    for (size_t i = 0; i < n; ++i) y.data[i] = std::max(x.data[i], T(0));
    return ok();
  }
  for_each_activated(activation, x, [&](int64_t i, const Activation& a) {
    y.data[i] = activate(a, x.data[i]).value;
  });
  return ok();
}

template <class T>
Status activation_backward(LayerPass<T>& pass) {
  const Activation& activation = std::get<Activation>(pass.op);
  const Array<T>& g = *pass.gradient;
  Array<T> result(g.shape);
  if (activation.kind == Activation::Kind::relu) {
    const Array<T>& y = *pass.output;
    const size_t n = g.data.size();
    for (size_t i = 0; i < n; ++i) result.data[i] = y.data[i] > 0 ? g.data[i] : T(0);
  } else {
    const Array<T>& x = *pass.inputs[0];
    for_each_activated(activation, x, [&](int64_t i, const Activation& a) {
      result.data[i] = g.data[i] * activate(a, x.data[i]).slope;
    });
  }
  pass.gradients[0] = std::move(result);
  return ok();
}

// ---- two operands with broadcasting

// Strides of an operand seen in the output's index space: 0 where it is broadcast.
std::vector<int64_t> broadcast_strides(const Shape& operand, const Shape& output) {
  const std::vector<int64_t> own = array_strides(operand);
  std::vector<int64_t> result(output.size(), 0);
  const size_t skip = output.size() - operand.size();
  for (size_t d = 0; d < operand.size(); ++d) {
    if (operand[d] != 1) result[skip + d] = own[d];
  }
  return result;
}

Kept binary_keeps(const Op& op) {
  const Binary::Kind kind = std::get<Binary>(op).kind;
  return {.inputs = kind != Binary::Kind::add && kind != Binary::Kind::sub};
}

template <class T>
Status binary_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Binary::Kind kind = std::get<Binary>(pass.op).kind;
  const Array<T>&a = *pass.inputs[0], &b = *pass.inputs[1];
  const Shape& shape = pass.output->shape;
  walk<3>(
      shape,
      {array_strides(shape), broadcast_strides(a.shape, shape), broadcast_strides(b.shape, shape)},
      [&](const auto& at, const auto& step, int64_t n) {
        T* out = pass.output->data.data() + at[0];
        const T *x = a.data.data() + at[1], *y = b.data.data() + at[2];
        const auto each = [&](auto f) {
          for (int64_t i = 0; i < n; ++i) out[i * step[0]] = f(x[i * step[1]], y[i * step[2]]);
        };
        switch (kind) {
          case Binary::Kind::add:
            return each([](T u, T v) { return u + v; });
          case Binary::Kind::sub:
            return each([](T u, T v) { return u - v; });
          case Binary::Kind::mul:
            return each([](T u, T v) { return u * v; });
          case Binary::Kind::div:
            return each([](T u, T v) { return u / v; });
          case Binary::Kind::pow:
            return each([](T u, T v) { return std::pow(u, v); });
        }
      });
  return ok();
}

// d output / d operand at (u, v).
template <class T>
double binary_slope(Binary::Kind kind, int operand, T u, T v) {
  switch (kind) {
    case Binary::Kind::add:
      return 1;
    case Binary::Kind::sub:
      return operand == 0 ? 1 : -1;
    case Binary::Kind::mul:
      return operand == 0 ? v : u;
    case Binary::Kind::div:
      return operand == 0 ? 1.0 / v : -double(u) / (double(v) * v);
    case Binary::Kind::pow:
      return operand == 0 ? double(v) * std::pow(double(u), double(v) - 1)
                          : std::pow(double(u), double(v)) * std::log(double(u));
  }
  return 0;
}

template <class T>
Status binary_backward(LayerPass<T>& pass) {
  const Binary::Kind kind = std::get<Binary>(pass.op).kind;
  const Array<T>& g = *pass.gradient;
  for (int k = 0; k < 2; ++k) {
    if (!pass.wanted[k]) continue;
    const Array<T>&a = *pass.inputs[0], &b = *pass.inputs[1];
    const Shape& shape = pass.inputs[k]->shape;
    if (kind == Binary::Kind::add && shape == g.shape) {
      pass.gradients[k] = g;
      continue;
    }
    const bool reads = binary_keeps(pass.op).inputs;
    std::vector<double> sums(element_count(shape), 0.0);
    walk<4>(g.shape,
            {array_strides(g.shape), broadcast_strides(shape, g.shape),
             broadcast_strides(a.shape, g.shape), broadcast_strides(b.shape, g.shape)},
            [&](const auto& at, const auto& step, int64_t n) {
              for (int64_t i = 0; i < n; ++i) {
                const T u = reads ? a.data[at[2] + i * step[2]] : T(0);
                const T v = reads ? b.data[at[3] + i * step[3]] : T(0);
                sums[at[1] + i * step[1]] +=
                    g.data[at[0] + i * step[0]] * binary_slope(kind, k, u, v);
              }
            });
    pass.gradients[k] = Array<T>(shape);
    std::copy(sums.begin(), sums.end(), pass.gradients[k].data.begin());
  }
  return ok();
}

// ---- data movement: each is a strided view of its input, and its gradient the copy the other way

template <class T>
Status literal_forward(LayerPass<T>& pass) {
  *pass.output = to_array<T>(*std::get<Literal>(pass.op).value);
  return ok();
}

template <class T>
Status no_backward(LayerPass<T>&) {
  return ok();
}

// Calls part(input, offset of its first element in the output).
template <class T, class F>
void for_each_concatenated(const LayerPass<T>& pass, const Shape& output, F part) {
  const int axis = std::get<Concat>(pass.op).axis;
  int64_t at = 0;
  for (size_t i = 0; i < pass.inputs.size(); ++i) {
    part(i, at * array_strides(output)[axis]);
    at += pass.inputs[i]->shape[axis];
  }
}

template <class T>
Status concat_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const std::vector<int64_t> strides = array_strides(pass.output->shape);
  for_each_concatenated(pass, pass.output->shape, [&](size_t i, int64_t offset) {
    const Array<T>& x = *pass.inputs[i];
    copy_strided(x.shape, pass.output->data.data() + offset, strides, x.data.data(),
                 array_strides(x.shape));
  });
  return ok();
}

template <class T>
Status concat_backward(LayerPass<T>& pass) {
  const Array<T>& g = *pass.gradient;
  const std::vector<int64_t> strides = array_strides(g.shape);
  for_each_concatenated(pass, g.shape, [&](size_t i, int64_t offset) {
    if (!pass.wanted[i]) return;
    pass.gradients[i] = Array<T>(pass.inputs[i]->shape);
    copy_strided(pass.gradients[i].shape, pass.gradients[i].data.data(),
                 array_strides(pass.gradients[i].shape), g.data.data() + offset, strides);
  });
  return ok();
}

struct View {
  int64_t offset = 0;
  std::vector<int64_t> strides;
};

View slice_view(const Slice& slice, const Shape& input) {
  View view{0, array_strides(input)};
  for (size_t d = 0; d < input.size(); ++d) {
    view.offset += slice.starts[d] * view.strides[d];
    view.strides[d] *= slice.steps[d];
  }
  return view;
}

template <class T>
Status slice_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const View view = slice_view(std::get<Slice>(pass.op), x.shape);
  const Shape& shape = pass.output->shape;
  copy_strided(shape, pass.output->data.data(), array_strides(shape), x.data.data() + view.offset,
               view.strides);
  return ok();
}

template <class T>
Status slice_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const View view = slice_view(std::get<Slice>(pass.op), input);
  const Array<T>& g = *pass.gradient;
  pass.gradients[0] = Array<T>(input, T(0));
  copy_strided(g.shape, pass.gradients[0].data.data() + view.offset, view.strides, g.data.data(),
               array_strides(g.shape));
  return ok();
}

// The part of a padded tensor that comes from the input.
struct Overlap {
  Shape extents;
  int64_t input_offset = 0, output_offset = 0;
};

Overlap pad_overlap(const Pad& pad, const Shape& input, const Shape& output) {
  Overlap overlap;
  const std::vector<int64_t> in = array_strides(input), out = array_strides(output);
  for (size_t d = 0; d < input.size(); ++d) {
    const int64_t first = std::max<int64_t>(0, -pad.before[d]);
    const int64_t last = std::min(input[d], output[d] - pad.before[d]);
    overlap.extents.push_back(std::max<int64_t>(0, last - first));
    overlap.input_offset += first * in[d];
    overlap.output_offset += (first + pad.before[d]) * out[d];
  }
  return overlap;
}

template <class T>
Status pad_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Pad& pad = std::get<Pad>(pass.op);
  if (pad.mode != Pad::Mode::constant) {
    return error("scoring goes through Pad in constant mode only");
  }
  const Array<T>& x = *pass.inputs[0];
  Array<T>& y = *pass.output;
  std::fill(y.data.begin(), y.data.end(), static_cast<T>(pad.value));
  const Overlap o = pad_overlap(pad, x.shape, y.shape);
  copy_strided(o.extents, y.data.data() + o.output_offset, array_strides(y.shape),
               x.data.data() + o.input_offset, array_strides(x.shape));
  return ok();
}

template <class T>
Status pad_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const Array<T>& g = *pass.gradient;
  const Overlap o = pad_overlap(std::get<Pad>(pass.op), input, g.shape);
  pass.gradients[0] = Array<T>(input, T(0));
  copy_strided(o.extents, pass.gradients[0].data.data() + o.input_offset, array_strides(input),
               g.data.data() + o.output_offset, array_strides(g.shape));
  return ok();
}

// The same elements in row-major order under another shape.
template <class T>
Array<T> reshaped(const Array<T>& from, const Shape& shape) {
  Array<T> result(shape);
  if (from.shape.size() != 4 && shape.size() != 4) {
    result.data = from.data;
    return result;
  }
  std::vector<T> row_major(from.data.size());
  copy_strided(from.shape, row_major.data(), onnx_order_strides(from.shape), from.data.data(),
               array_strides(from.shape));
  copy_strided(shape, result.data.data(), array_strides(shape), row_major.data(),
               onnx_order_strides(shape));
  return result;
}

template <class T>
Status reshape_forward(LayerPass<T>& pass) {
  *pass.output = reshaped(*pass.inputs[0], std::get<Reshape>(pass.op).shape);
  return ok();
}

template <class T>
Status reshape_backward(LayerPass<T>& pass) {
  pass.gradients[0] = reshaped(*pass.gradient, pass.inputs[0]->shape);
  return ok();
}

std::vector<int64_t> permuted_strides(const Transpose& transpose, const Shape& input) {
  const std::vector<int64_t> strides = array_strides(input);
  std::vector<int64_t> result;
  for (const int d : transpose.permutation) result.push_back(strides[d]);
  return result;
}

template <class T>
Status transpose_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const Shape& shape = pass.output->shape;
  copy_strided(shape, pass.output->data.data(), array_strides(shape), x.data.data(),
               permuted_strides(std::get<Transpose>(pass.op), x.shape));
  return ok();
}

template <class T>
Status transpose_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const Array<T>& g = *pass.gradient;
  pass.gradients[0] = Array<T>(input);
  copy_strided(g.shape, pass.gradients[0].data.data(),
               permuted_strides(std::get<Transpose>(pass.op), input), g.data.data(),
               array_strides(g.shape));
  return ok();
}

// ---- pooling

// Calls window(output offset, taps in the image (offset of channel 0), divisor) for every window.
template <class F>
void for_each_window(const Pool& pool, const Shape& x, F window) {
  std::vector<int64_t> taps;
  const auto counted = [&](int64_t at, int d) {
    // Inside the image and its padding.
    return at >= -pool.pad[d] && at < x[2 + d] + pool.pad[d + 2];
  };
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t oy = 0; oy < pool.out[0]; ++oy)
      for (int64_t ox = 0; ox < pool.out[1]; ++ox) {
        taps.clear();
        int64_t padded = 0;
        for (int a = 0; a < pool.kernel[0]; ++a)
          for (int b = 0; b < pool.kernel[1]; ++b) {
            const int64_t iy = oy * pool.stride[0] + int64_t{a} * pool.dilation[0] - pool.pad[0];
            const int64_t ix = ox * pool.stride[1] + int64_t{b} * pool.dilation[1] - pool.pad[1];
            if (counted(iy, 0) && counted(ix, 1)) ++padded;
            if (iy < 0 || iy >= x[2] || ix < 0 || ix >= x[3]) continue;
            taps.push_back(((n * x[2] + iy) * x[3] + ix) * x[1]);
          }
        const int64_t divisor = pool.count_include_pad ? padded : static_cast<int64_t>(taps.size());
        window(((n * pool.out[0] + oy) * pool.out[1] + ox) * x[1], taps, divisor);
      }
}

template <class T>
Status pool_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Pool& pool = std::get<Pool>(pass.op);
  const Array<T>& x = *pass.inputs[0];
  Array<T>& y = *pass.output;
  const int64_t c = x.shape[1];
  const bool largest = pool.kind == Pool::Kind::max;
  if (largest) pass.saved->assign(y.data.size(), -1.0);
  for_each_window(pool, x.shape, [&](int64_t out, const auto& taps, int64_t divisor) {
    for (int64_t i = 0; i < c; ++i) {
      y.data[out + i] = largest ? -std::numeric_limits<T>::infinity() : T(0);
    }
    for (const int64_t tap : taps)
      for (int64_t i = 0; i < c; ++i) {
        const T value = x.data[tap + i];
        if (!largest) {
          y.data[out + i] += value / static_cast<T>(divisor);
        } else if (value > y.data[out + i]) {
          y.data[out + i] = value;
          (*pass.saved)[out + i] = static_cast<double>(tap + i);
        }
      }
  });
  return ok();
}

template <class T>
Status pool_backward(LayerPass<T>& pass) {
  const Pool& pool = std::get<Pool>(pass.op);
  const Array<T>& g = *pass.gradient;
  const Shape& shape = pass.inputs[0]->shape;
  Array<T> result(shape, T(0));
  if (pool.kind == Pool::Kind::max) {
    for (size_t i = 0; i < g.data.size(); ++i) {
      const double position = (*pass.saved)[i];
      if (position >= 0) result.data[static_cast<size_t>(position)] += g.data[i];
    }
  } else {
    for_each_window(pool, shape, [&](int64_t out, const auto& taps, int64_t divisor) {
      for (const int64_t tap : taps)
        for (int64_t i = 0; i < shape[1]; ++i) {
          result.data[tap + i] += g.data[out + i] / static_cast<T>(divisor);
        }
    });
  }
  pass.gradients[0] = std::move(result);
  return ok();
}

// The mean's strides in its input's index space (0 along the axes), in this layout of its output.
std::vector<int64_t> mean_strides(const ReduceMean& mean, const Shape& input, const Shape& output) {
  const std::vector<int64_t> own = array_strides(output);
  std::vector<int64_t> strides;
  size_t kept = 0;
  for (size_t d = 0; d < input.size(); ++d) {
    const bool reduced = std::find(mean.axes.begin(), mean.axes.end(), d) != mean.axes.end();
    strides.push_back(reduced ? 0 : own[kept]);
    if (!reduced || mean.keep) ++kept;
  }
  return strides;
}

template <class T>
Status mean_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  Array<T>& y = *pass.output;
  std::vector<double> sums(y.data.size(), 0.0);
  walk<2>(x.shape,
          {array_strides(x.shape), mean_strides(std::get<ReduceMean>(pass.op), x.shape, y.shape)},
          [&](const auto& at, const auto& step, int64_t n) {
            for (int64_t i = 0; i < n; ++i) {
              sums[at[1] + i * step[1]] += x.data[at[0] + i * step[0]];
            }
          });
  const double count = static_cast<double>(x.data.size()) / static_cast<double>(y.data.size());
  for (size_t i = 0; i < sums.size(); ++i) y.data[i] = static_cast<T>(sums[i] / count);
  return ok();
}

template <class T>
Status mean_backward(LayerPass<T>& pass) {
  const Shape& input = pass.inputs[0]->shape;
  const Array<T>& g = *pass.gradient;
  Array<T> scaled(g.shape);
  const T count = static_cast<T>(element_count(input)) / static_cast<T>(element_count(g.shape));
  for (size_t i = 0; i < g.data.size(); ++i) scaled.data[i] = g.data[i] / count;
  pass.gradients[0] = Array<T>(input);
  copy_strided(input, pass.gradients[0].data.data(), array_strides(input), scaled.data.data(),
               mean_strides(std::get<ReduceMean>(pass.op), input, g.shape));
  return ok();
}

// ---- nearest-neighbour resize: calls copy(input pixel, output pixel) for every output pixel

template <class F>
void for_each_resized(const Resize& resize, const Shape& x, F copy) {
  const int64_t rows = resize.rows.size(), columns = resize.columns.size(), c = x[1];
  for (int64_t n = 0; n < x[0]; ++n)
    for (int64_t y = 0; y < rows; ++y)
      for (int64_t i = 0; i < columns; ++i) {
        copy(((n * x[2] + resize.rows[y]) * x[3] + resize.columns[i]) * c,
             ((n * rows + y) * columns + i) * c);
      }
}

template <class T>
Status resize_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const int64_t c = x.shape[1];
  for_each_resized(std::get<Resize>(pass.op), x.shape, [&](int64_t in, int64_t out) {
    std::copy(&x.data[in], &x.data[in] + c, &pass.output->data[out]);
  });
  return ok();
}

template <class T>
Status resize_backward(LayerPass<T>& pass) {
  const Shape& shape = pass.inputs[0]->shape;
  Array<T> result(shape, T(0));
  for_each_resized(std::get<Resize>(pass.op), shape, [&](int64_t in, int64_t out) {
    for (int64_t i = 0; i < shape[1]; ++i) result.data[in + i] += pass.gradient->data[out + i];
  });
  pass.gradients[0] = std::move(result);
  return ok();
}

}  // namespace

template <class T>
const TrainingRule<T>* training_rule(const Op& op) {
  static constexpr TrainingRule<T> k_rules[] = {
      {"conv", keep_nothing, conv_forward<T>, conv_backward<T>},
      {"dense", keep_nothing, dense_forward<T>, dense_backward<T>},
      {"batch_norm", keep_output, batch_norm_forward<T>, batch_norm_backward<T>},
      {"affine", keep_nothing, affine_forward<T>, affine_backward<T>},
      {"activation", activation_keeps, activation_forward<T>, activation_backward<T>},
      {"binary", binary_keeps, binary_forward<T>, binary_backward<T>},
      {"literal", keep_nothing, literal_forward<T>, no_backward<T>},
      {"concat", keep_nothing, concat_forward<T>, concat_backward<T>},
      {"slice", keep_nothing, slice_forward<T>, slice_backward<T>},
      {"pad", keep_nothing, pad_forward<T>, pad_backward<T>},
      {"pool", keep_nothing, pool_forward<T>, pool_backward<T>},
      {"reduce_mean", keep_nothing, mean_forward<T>, mean_backward<T>},
      {"reshape", keep_nothing, reshape_forward<T>, reshape_backward<T>},
      {"transpose", keep_nothing, transpose_forward<T>, transpose_backward<T>},
      {"resize", keep_nothing, resize_forward<T>, resize_backward<T>},
  };
  for (const TrainingRule<T>& rule : k_rules) {
    if (std::strcmp(rule.op, op_name(op)) == 0) return &rule;
  }
  return nullptr;
}

template const TrainingRule<float>* training_rule(const Op&);
template const TrainingRule<double>* training_rule(const Op&);

}  // namespace emulsion
