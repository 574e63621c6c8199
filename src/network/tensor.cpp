#include "network/tensor.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

namespace emulsion {

int64_t element_count(const Shape& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape) count *= extent;
  return count;
}

std::string to_text(const Shape& shape) {
  if (shape.empty()) return "scalar";
  return fmt::format("{}", fmt::join(shape, "x"));
}

Result<Shape> parse_shape(const std::string& text) {
  if (text == "scalar") return Shape{};
  Shape shape;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int64_t extent = 0;
    const auto [next, failed] = std::from_chars(at, end, extent);
    if (failed != std::errc() || extent < 0) break;
    shape.push_back(extent);
    if (next == end) {
      int64_t left = std::numeric_limits<int64_t>::max();
      for (const int64_t e : shape) left /= e > 0 ? e : 1;
      if (left == 0) return error("shape '{}' has more elements than can be counted", text);
      return shape;
    }
    if (*next != 'x') break;
    at = next + 1;
  }
  return error("'{}' is not a shape; write it like 1x64x32x32, or 'scalar'", text);
}

Tensor::Tensor(Shape shape_in, float fill)
    : shape(std::move(shape_in)), data(static_cast<size_t>(element_count(shape)), fill) {}

Tensor::Tensor(Shape shape_in, std::vector<float> data_in)
    : shape(std::move(shape_in)), data(std::move(data_in)) {
  EMULSION_CHECK(static_cast<int64_t>(data.size()) == element_count(shape));
}

Constant constant(Shape shape, std::vector<float> data) {
  return std::make_shared<const Tensor>(std::move(shape), std::move(data));
}

Constant abstract_constant(Shape shape) {
  Tensor tensor;
  tensor.shape = std::move(shape);
  return std::make_shared<const Tensor>(std::move(tensor));
}

double relative_to_largest(const Tensor& got, const Tensor& expected) {
  if (got.shape != expected.shape) return INFINITY;
  double largest = 0, difference = 0;
  for (size_t i = 0; i < got.data.size(); ++i) {
    const double a = got.data[i], b = expected.data[i];
    if (a == b || (std::isnan(a) && std::isnan(b))) {
      if (std::isfinite(b)) largest = std::max(largest, std::abs(b));
      continue;
    }
    if (!std::isfinite(a) || !std::isfinite(b)) return INFINITY;
    difference = std::max(difference, std::abs(a - b));
    largest = std::max(largest, std::abs(b));
  }
  return largest > 0 ? difference / largest : difference;
}

}  // namespace emulsion
