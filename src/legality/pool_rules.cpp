// Pooling and means in a training pass.
#include <limits>

#include "legality/training_ops.h"

namespace emulsion {

namespace {

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

}  // namespace

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

namespace {

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

}  // namespace

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

EMULSION_TRAINING_OP(pool)
EMULSION_TRAINING_OP(mean)

}  // namespace emulsion
