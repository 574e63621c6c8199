#include "legality/conv_engine.h"

namespace emulsion {
namespace {

// Calls tap(x offset, output offset, weight of [co][ci/group] plane for this tap) for every tap in
// the image.
template <class F>
void for_each_tap(const Conv& conv, const Shape& x, const Shape& y, F tap) {
  const int64_t ky = conv.weight->shape[2], kx = conv.weight->shape[3];
  for (int64_t n = 0; n < y[0]; ++n)
    for (int64_t oy = 0; oy < y[2]; ++oy)
      for (int64_t ox = 0; ox < y[3]; ++ox)
        for (int64_t a = 0; a < ky; ++a)
          for (int64_t b = 0; b < kx; ++b) {
            const int64_t iy = oy * conv.stride[0] + a * conv.dilation[0] - conv.pad[0];
            const int64_t ix = ox * conv.stride[1] + b * conv.dilation[1] - conv.pad[1];
            if (iy < 0 || iy >= x[2] || ix < 0 || ix >= x[3]) continue;
            tap(((n * x[2] + iy) * x[3] + ix) * x[1], ((n * y[2] + oy) * y[3] + ox) * y[1],
                a * kx + b);
          }
}

Shape conv_output(const Conv& conv, const Shape& x) {
  Conv sum = conv;  // the sum alone has the output's shape
  sum.epilogue = {};
  auto shape = infer_shape(Op(sum), {x});
  EMULSION_CHECK(shape.ok());
  return *shape;
}

}  // namespace

template <class T>
Result<Array<T>> PlainEngine<T>::forward(const Conv& conv, const Array<T>& x,
                                         const LayerWeights<T>& layer_weights) {
  const Weights<T>& weights = *layer_weights.values;
  Array<T> y(conv_output(conv, x.shape), T(0));
  const Shape& w = conv.weight->shape;
  const int64_t group_in = w[1], group_out = w[0] / conv.groups, taps = w[2] * w[3];
  for_each_tap(conv, x.shape, y.shape, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t co = 0; co < w[0]; ++co) {
      const T* source = &x.data[in + co / group_out * group_in];
      T sum = 0;
      for (int64_t ci = 0; ci < group_in; ++ci) {
        sum += source[ci] * weights[(co * group_in + ci) * taps + tap];
      }
      y.data[out + co] += sum;
    }
  });
  return y;
}

template <class T>
Result<Array<T>> PlainEngine<T>::backward(const Conv& conv, const Shape& x_shape,
                                          const Array<T>& gradient,
                                          const LayerWeights<T>& layer_weights) {
  const Weights<T>& weights = *layer_weights.values;
  Array<T> result(x_shape, T(0));
  const Shape& w = conv.weight->shape;
  const int64_t group_in = w[1], group_out = w[0] / conv.groups, taps = w[2] * w[3];
  for_each_tap(conv, x_shape, gradient.shape, [&](int64_t in, int64_t out, int64_t tap) {
    for (int64_t co = 0; co < w[0]; ++co) {
      T* sink = &result.data[in + co / group_out * group_in];
      for (int64_t ci = 0; ci < group_in; ++ci) {
        sink[ci] += gradient.data[out + co] * weights[(co * group_in + ci) * taps + tap];
      }
    }
  });
  return result;
}

template class PlainEngine<float>;
template class PlainEngine<double>;

}  // namespace emulsion
