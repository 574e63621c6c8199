#include "legality/channel_loops.h"

// One body a loop, compiled for the baseline and for AVX2 with FMA, chosen when the program starts.
// Sanitizers' start-up does not bear it.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define EMULSION_WIDE __attribute__((target_clones("arch=haswell", "default")))
#else
#define EMULSION_WIDE
#endif
#define EMULSION_BODY [[gnu::always_inline]] inline

namespace emulsion {
namespace {

template <class T>
EMULSION_BODY void moments_body(const T* x, int64_t rows, int64_t channels, const T* origin,
                                double* __restrict sum, double* __restrict squares) {
  for (int64_t r = 0; r < rows; ++r, x += channels)
    for (int64_t c = 0; c < channels; ++c) {
      const double d = static_cast<double>(x[c]) - static_cast<double>(origin[c]);
      sum[c] += d;
      squares[c] += d * d;
    }
}

template <class T>
EMULSION_BODY void dots_body(const T* g, const T* x, int64_t rows, int64_t channels,
                             double* __restrict sum, double* __restrict dot) {
  for (int64_t r = 0; r < rows; ++r, x += channels, g += channels)
    for (int64_t c = 0; c < channels; ++c) {
      const double v = static_cast<double>(g[c]);
      sum[c] += v;
      dot[c] += v * static_cast<double>(x[c]);
    }
}

template <class T>
EMULSION_BODY void products_body(const T* a, const T* b, int64_t rows, int64_t channels,
                                 double* __restrict dot) {
  for (int64_t r = 0; r < rows; ++r, a += channels, b += channels)
    for (int64_t c = 0; c < channels; ++c) {
      dot[c] += static_cast<double>(a[c]) * static_cast<double>(b[c]);
    }
}

template <class T>
EMULSION_BODY void affine_body(const T* x, int64_t rows, int64_t channels, const T* a, const T* b,
                               T* y) {
  for (int64_t r = 0; r < rows; ++r, x += channels, y += channels)
#pragma GCC ivdep
    for (int64_t c = 0; c < channels; ++c) y[c] = a[c] * x[c] + b[c];
}

template <class T>
EMULSION_BODY void combine_body(T* __restrict g, const T* x, int64_t rows, int64_t channels,
                                const T* a, const T* b, const T* d) {
  for (int64_t r = 0; r < rows; ++r, x += channels, g += channels)
    for (int64_t c = 0; c < channels; ++c) g[c] = a[c] * g[c] + (b[c] * x[c] + d[c]);
}

template <class T>
EMULSION_BODY void relu_body(const T* x, int64_t count, T* y) {
#pragma GCC ivdep
  for (int64_t i = 0; i < count; ++i) y[i] = x[i] > 0 ? x[i] : T(0);
}

template <class T>
EMULSION_BODY void relu_gradient_body(T* __restrict g, const T* __restrict y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const T v = g[i];
    g[i] = y[i] > 0 ? v : T(0);
  }
}

template <class T>
EMULSION_BODY void add_body(T* __restrict a, const T* __restrict b, int64_t count) {
  for (int64_t i = 0; i < count; ++i) a[i] += b[i];
}

}  // namespace

#define EMULSION_LOOPS(T)                                                                          \
  EMULSION_WIDE void channel_moments(const T* x, int64_t rows, int64_t channels, const T* origin,  \
                                     double* sum, double* squares) {                               \
    moments_body(x, rows, channels, origin, sum, squares);                                         \
  }                                                                                                \
  EMULSION_WIDE void channel_dots(const T* g, const T* x, int64_t rows, int64_t channels,          \
                                  double* sum, double* dot) {                                      \
    dots_body(g, x, rows, channels, sum, dot);                                                     \
  }                                                                                                \
  EMULSION_WIDE void channel_products(const T* a, const T* b, int64_t rows, int64_t channels,      \
                                      double* dot) {                                               \
    products_body(a, b, rows, channels, dot);                                                      \
  }                                                                                                \
  EMULSION_WIDE void channel_affine(const T* x, int64_t rows, int64_t channels, const T* a,        \
                                    const T* b, T* y) {                                            \
    affine_body(x, rows, channels, a, b, y);                                                       \
  }                                                                                                \
  EMULSION_WIDE void channel_combine(T* g, const T* x, int64_t rows, int64_t channels, const T* a, \
                                     const T* b, const T* d) {                                     \
    combine_body(g, x, rows, channels, a, b, d);                                                   \
  }                                                                                                \
  EMULSION_WIDE void relu_of(const T* x, int64_t count, T* y) {                                    \
    relu_body(x, count, y);                                                                        \
  }                                                                                                \
  EMULSION_WIDE void relu_gradient(T* g, const T* y, int64_t count) {                              \
    relu_gradient_body(g, y, count);                                                               \
  }                                                                                                \
  EMULSION_WIDE void add_to(T* a, const T* b, int64_t count) {                                     \
    add_body(a, b, count);                                                                         \
  }

EMULSION_LOOPS(float)
EMULSION_LOOPS(double)

}  // namespace emulsion
