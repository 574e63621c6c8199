// The inner loops of a training pass over arrays [rows][channels], for wide vectors where the
// processor has them. Sums are double.
#pragma once

#include <cstdint>

namespace emulsion {

// sum[c] += x - origin[c], squares[c] += (x - origin[c])^2: an origin near the mean keeps digits.
void channel_moments(const float* x, int64_t rows, int64_t channels, const float* origin,
                     double* sum, double* squares);
void channel_moments(const double* x, int64_t rows, int64_t channels, const double* origin,
                     double* sum, double* squares);

// sum[c] += g, dot[c] += g x
void channel_dots(const float* g, const float* x, int64_t rows, int64_t channels, double* sum,
                  double* dot);
void channel_dots(const double* g, const double* x, int64_t rows, int64_t channels, double* sum,
                  double* dot);

// dot[c] += a b
void channel_products(const float* a, const float* b, int64_t rows, int64_t channels, double* dot);
void channel_products(const double* a, const double* b, int64_t rows, int64_t channels,
                      double* dot);

// y = a[c] x + b[c]; y may be x.
void channel_affine(const float* x, int64_t rows, int64_t channels, const float* a, const float* b,
                    float* y);
void channel_affine(const double* x, int64_t rows, int64_t channels, const double* a,
                    const double* b, double* y);

// g = a[c] g + b[c] x + d[c]
void channel_combine(float* g, const float* x, int64_t rows, int64_t channels, const float* a,
                     const float* b, const float* d);
void channel_combine(double* g, const double* x, int64_t rows, int64_t channels, const double* a,
                     const double* b, const double* d);

// y = max(x, 0); y may be x.
void relu_of(const float* x, int64_t count, float* y);
void relu_of(const double* x, int64_t count, double* y);

// g = y > 0 ? g : 0
void relu_gradient(float* g, const float* y, int64_t count);
void relu_gradient(double* g, const double* y, int64_t count);

// a += b
void add_to(float* a, const float* b, int64_t count);
void add_to(double* a, const double* b, int64_t count);

}  // namespace emulsion
