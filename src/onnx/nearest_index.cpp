#include "onnx/nearest_index.h"

#include <algorithm>
#include <cmath>

namespace emulsion {

namespace {

using Coordinate = double (*)(double y, double in, double out, double scale);
using Rounding = double (*)(double x, double scale);

struct CoordinateRow {
  const char* name;
  Coordinate f;
};
struct RoundingRow {
  const char* name;
  Rounding f;
};

double half_pixel(double y, double, double, double scale) {
  return (y + 0.5) / scale - 0.5;
}

double half_pixel_symmetric(double y, double in, double out, double scale) {
  const double offset = in / 2 * (1 - out / (scale * in));
  return offset + (y + 0.5) / scale - 0.5;
}

double pytorch_half_pixel(double y, double, double out, double scale) {
  return out > 1 ? (y + 0.5) / scale - 0.5 : 0;
}

double align_corners(double y, double in, double out, double) {
  return out > 1 ? y * (in - 1) / (out - 1) : 0;
}

double asymmetric(double y, double, double, double scale) {
  return y / scale;
}

double tf_half_pixel(double y, double, double, double scale) {
  return (y + 0.5) / scale;
}

// ONNX Operators, "Resize": coordinate_transformation_mode.
constexpr CoordinateRow k_coordinates[] = {
    {"half_pixel", half_pixel},
    {"half_pixel_symmetric", half_pixel_symmetric},
    {"pytorch_half_pixel", pytorch_half_pixel},
    {"align_corners", align_corners},
    {"asymmetric", asymmetric},
    {"tf_half_pixel_for_nn", tf_half_pixel},
};

constexpr RoundingRow k_roundings[] = {
    {"round_prefer_floor", [](double x, double) { return std::ceil(x - 0.5); }},
    {"round_prefer_ceil", [](double x, double) { return std::floor(x + 0.5); }},
    {"floor", [](double x, double) { return std::floor(x); }},
    {"ceil", [](double x, double) { return std::ceil(x); }},
    // Opset 10 leaves the rounding open; this is what ONNX Runtime does.
    {"simple", [](double x, double scale) { return scale < 1 ? std::ceil(x) : std::floor(x); }},
};

}  // namespace

Result<std::vector<int>> nearest_index(const NearestMode& mode, int64_t in, int64_t out,
                                       double scale) {
  const auto* coordinate =
      std::find_if(std::begin(k_coordinates), std::end(k_coordinates),
                   [&](const CoordinateRow& row) { return mode.coordinates == row.name; });
  if (coordinate == std::end(k_coordinates)) {
    return error(
        "attribute 'coordinate_transformation_mode' is '{}'; half_pixel, half_pixel_symmetric,"
        " pytorch_half_pixel, align_corners, asymmetric, tf_half_pixel_for_nn are supported",
        mode.coordinates);
  }
  const auto* rounding =
      std::find_if(std::begin(k_roundings), std::end(k_roundings),
                   [&](const RoundingRow& row) { return mode.rounding == row.name; });
  if (rounding == std::end(k_roundings)) {
    return error(
        "attribute 'nearest_mode' is '{}'; round_prefer_floor, round_prefer_ceil, floor, ceil are"
        " supported",
        mode.rounding);
  }
  std::vector<int> index(out);
  for (int64_t y = 0; y < out; ++y) {
    const double x = coordinate->f(static_cast<double>(y), static_cast<double>(in),
                                   static_cast<double>(out), scale);
    const double nearest = rounding->f(x, scale);
    index[y] = static_cast<int>(std::clamp(nearest, 0.0, static_cast<double>(in - 1)));
  }
  return index;
}

}  // namespace emulsion
