#include "lower/padding_taps.h"

namespace emulsion {

namespace {

// Along one dimension. Padding behind the image is taken to be as wide as in front of it, which is
// all that a conv recognised in a pipeline tells. The image may end a little later than the taps
// reach: then nothing is read of the padding behind it.
double kept_part(int64_t outputs, int64_t taps, int stride, int dilation, int pad) {
  const int64_t image = (outputs - 1) * stride + (taps - 1) * dilation + 1 - 2 * pad + stride - 1;
  int64_t kept = 0;
  for (int64_t output = 0; output < outputs; ++output)
    for (int64_t tap = 0; tap < taps; ++tap) {
      const int64_t at = output * stride + tap * dilation - pad;
      if (at >= 0 && at < image) ++kept;
    }
  return static_cast<double>(kept) / static_cast<double>(outputs * taps);
}

}  // namespace

KeptTaps kept_taps(const Nest& nest, const Copies& copies) {
  // Measured: leaving out two percent of the taps still gains that much (64x32x32 -> 128, stride
  // 2).
  constexpr double k_most_kept = 0.98;
  KeptTaps kept;
  if (nest.ky > 1 && copies.y == 1)
    kept.rows = kept_part(nest.y, nest.ky, nest.stride[0], nest.dilation[0], nest.pad[0]);
  if (nest.kx > 1 && copies.x == nest.x && copies.kx == nest.kx)
    kept.columns = kept_part(nest.x, nest.kx, nest.stride[1], nest.dilation[1], nest.pad[1]);
  return kept.rows * kept.columns > k_most_kept ? KeptTaps() : kept;
}

}  // namespace emulsion
