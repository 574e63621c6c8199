// Batch norms, with the batch's statistics, layer norms and per-channel affines in a training pass.
#include <cmath>

#include "legality/channel_loops.h"
#include "legality/training_ops.h"

namespace emulsion {
namespace {

constexpr double k_batch_norm_epsilon = 1e-5;

// Elements between two elements of a channel's plane: channels lie innermost in rank-4 and rank-2
// arrays.
int64_t inner_elements(const Shape& shape) {
  return shape.size() == 4 ? 1 : element_count(shape) / (shape[0] * shape[1]);
}

// y = scale x + shift, by channel. A null shift is zero.
template <class T>
void scale_channels(const Array<T>& x, const std::vector<float>& scale,
                    const std::vector<float>* shift, Array<T>& y) {
  const int64_t c = x.shape[1], n = element_count(x.shape), inner = inner_elements(x.shape);
  const std::vector<T> a(scale.begin(), scale.end());
  std::vector<T> b(a.size(), T(0));
  if (shift) b.assign(shift->begin(), shift->end());
  if (inner == 1) return channel_affine(x.data.data(), n / c, c, a.data(), b.data(), y.data.data());
  for (int64_t i = 0; i < n; ++i) {
    const int64_t channel = i / inner % c;
    y.data[i] = a[channel] * x.data[i] + b[channel];
  }
}

// Strides of an operand without these axes, seen in the index space with them: 0 along them.
std::vector<int64_t> group_strides(const std::vector<int>& axes, const Shape& shape) {
  Shape groups = shape;
  for (const int axis : axes) groups[axis] = 1;
  std::vector<int64_t> strides = onnx_order_strides(groups);
  for (const int axis : axes) strides[axis] = 0;
  return strides;
}

// Calls visit(element, group) for every element, the group being those that share statistics.
template <class F>
void for_each_normalized(const Normalize& op, const Shape& shape, F visit) {
  walk<2>(shape, {array_strides(shape), group_strides(op.axes, shape)},
          [&](const auto& at, const auto& step, int64_t n) {
            for (int64_t i = 0; i < n; ++i) visit(at[0] + i * step[0], at[1] + i * step[1]);
          });
}

size_t group_size(const Normalize& op, const Shape& shape) {
  size_t size = 1;
  for (const int axis : op.axes) size *= static_cast<size_t>(shape[axis]);
  return size;
}

}  // namespace

// Statistics of the batch, biased variance, scale 1, shift 0.
template <class T>
Status batch_norm_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Array<T>& x = *pass.inputs[0];
  const int64_t c = x.shape[1], rows = element_count(x.shape) / c;
  std::vector<double> sum(c, 0.0), squares(c, 0.0);
  channel_moments(x.data.data(), rows, c, x.data.data(), sum.data(), squares.data());
  pass.saved->resize(2 * c);  // means, inverse deviations
  std::vector<T> scale(c), shift(c);
  for (int64_t i = 0; i < c; ++i) {
    const double d = sum[i] / static_cast<double>(rows);
    const double variance = std::max(squares[i] / static_cast<double>(rows) - d * d, 0.0);
    const double mean = static_cast<double>(x.data[i]) + d;
    const double inverse = 1.0 / std::sqrt(variance + k_batch_norm_epsilon);
    (*pass.saved)[i] = mean;
    (*pass.saved)[c + i] = inverse;
    scale[i] = static_cast<T>(inverse);
    shift[i] = static_cast<T>(-mean * inverse);
  }
  channel_affine(x.data.data(), rows, c, scale.data(), shift.data(), pass.output->data.data());
  return ok();
}

// dx = inverse (g - mean(g) - y mean(g y)), with y = inverse (x - mean) the output.
template <class T>
Status batch_norm_backward(LayerPass<T>& pass) {
  const Array<T>& x = *pass.inputs[0];
  Array<T>& g = *pass.gradient;
  const int64_t c = x.shape[1], rows = element_count(x.shape) / c;
  std::vector<double> sum(c, 0.0), dot(c, 0.0);
  channel_dots(g.data.data(), x.data.data(), rows, c, sum.data(), dot.data());
  std::vector<T> of_g(c), of_x(c), constant(c);
  for (int64_t i = 0; i < c; ++i) {
    const double mean = (*pass.saved)[i], inverse = (*pass.saved)[c + i];
    const double slope = inverse * (dot[i] - mean * sum[i]) / static_cast<double>(rows);
    of_g[i] = static_cast<T>(inverse);
    of_x[i] = static_cast<T>(-inverse * inverse * slope);
    constant[i] =
        static_cast<T>(inverse * (inverse * slope * mean - sum[i] / static_cast<double>(rows)));
  }
  channel_combine(g.data.data(), x.data.data(), rows, c, of_g.data(), of_x.data(), constant.data());
  pass.gradients[0] = std::move(g);
  return ok();
}

// Statistics of each image, or part of one, in training as in evaluation.
template <class T>
Status normalize_forward(LayerPass<T>& pass) {
  prepare_output(pass);
  const Normalize& op = std::get<Normalize>(pass.op);
  const Array<T>& x = *pass.inputs[0];
  const size_t size = group_size(op, x.shape), groups = x.data.size() / size;
  const double count = static_cast<double>(size);
  std::vector<double> mean(groups, 0.0), inverse(groups, 0.0);
  for_each_normalized(op, x.shape, [&](int64_t i, int64_t g) { mean[g] += x.data[i]; });
  for (double& m : mean) m /= count;
  for_each_normalized(op, x.shape, [&](int64_t i, int64_t g) {
    const double d = x.data[i] - mean[g];
    inverse[g] += d * d;
  });
  for (double& v : inverse) v = 1.0 / std::sqrt(v / count + op.epsilon);
  for_each_normalized(op, x.shape, [&](int64_t i, int64_t g) {
    pass.output->data[i] = static_cast<T>((x.data[i] - mean[g]) * inverse[g]);
  });
  *pass.saved = std::move(inverse);
  return ok();
}

// As for a batch norm, y the output: dx = inverse (g - mean(g) - y mean(g y)).
template <class T>
Status normalize_backward(LayerPass<T>& pass) {
  const Normalize& op = std::get<Normalize>(pass.op);
  const Array<T>& y = *pass.made;
  Array<T>& g = *pass.gradient;
  const double count = static_cast<double>(group_size(op, y.shape));
  std::vector<double> sum(pass.saved->size(), 0.0), dot(pass.saved->size(), 0.0);
  for_each_normalized(op, y.shape, [&](int64_t i, int64_t k) {
    sum[k] += g.data[i];
    dot[k] += static_cast<double>(g.data[i]) * y.data[i];
  });
  for_each_normalized(op, y.shape, [&](int64_t i, int64_t k) {
    g.data[i] = static_cast<T>((*pass.saved)[k] *
                               (g.data[i] - sum[k] / count - y.data[i] * (dot[k] / count)));
  });
  pass.gradients[0] = std::move(g);
  return ok();
}

template <class T>
Status affine_forward(LayerPass<T>& pass) {
  const Affine& affine = std::get<Affine>(pass.op);
  const Array<T>& x = take_or_prepare_output(pass);
  scale_channels(x, affine.scale->data, &affine.shift->data, *pass.output);
  return ok();
}

template <class T>
Status affine_backward(LayerPass<T>& pass) {
  scale_channels(*pass.gradient, std::get<Affine>(pass.op).scale->data, nullptr, *pass.gradient);
  pass.gradients[0] = std::move(*pass.gradient);
  return ok();
}

EMULSION_TRAINING_OP(batch_norm)
EMULSION_TRAINING_OP(affine)
EMULSION_TRAINING_OP(normalize)

}  // namespace emulsion
