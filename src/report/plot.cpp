#include "report/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace emulsion {
namespace {

constexpr double k_left = 64, k_right = 34, k_top = 20, k_bottom = 52;

}  // namespace

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::vector<double> round_ticks(double least, double most, int about) {
  const double range = most - least;
  if (!(range > 0)) return {least};
  const double power = std::pow(10, std::floor(std::log10(range / about)));
  double step = power;
  for (const double times : {1.0, 2.0, 5.0, 10.0}) {
    step = times * power;
    if (range / step <= about) break;
  }
  std::vector<double> ticks;
  for (double i = std::ceil(least / step - 1e-9); i * step <= most + 1e-9 * range; ++i) {
    ticks.push_back(i == 0 ? 0 : i * step);
  }
  return ticks;
}

Plot::Plot(double width, double height, Axis x, Axis y)
    : width_(width), height_(height), x_(std::move(x)), y_(std::move(y)) {}

double Plot::at_x(double x) const {
  return k_left + (x - x_.least) / (x_.most - x_.least) * (width_ - k_left - k_right);
}

double Plot::at_y(double y) const {
  return height_ - k_bottom - (y - y_.least) / (y_.most - y_.least) * (height_ - k_top - k_bottom);
}

void Plot::dot(const std::string& kind, double x, double y, double radius, const std::string& tip) {
  dots_ += fmt::format(
      "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"{}\"><title>{}</title></circle>\n",
      kind, at_x(x), at_y(y), radius, escaped(tip));
}

void Plot::line(const std::string& kind, const std::vector<std::pair<double, double>>& points) {
  std::string text;
  for (const auto& [x, y] : points) text += fmt::format("{:.1f},{:.1f} ", at_x(x), at_y(y));
  lines_ += fmt::format("<polyline class=\"{}\" points=\"{}\"/>\n", kind, text);
}

void Plot::marker(const std::string& kind, double x, double y, const std::string& label,
                  const std::string& tip) {
  const double px = at_x(x), py = at_y(y);
  markers_ += fmt::format(
      "<circle class=\"{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5.5\"><title>{}</title></circle>\n",
      kind, px, py, escaped(tip));
  if (label.empty()) return;
  double lx = px + 8, ly = py - 8;
  const auto taken = [&] {
    return std::any_of(labels_.begin(), labels_.end(), [&](const auto& other) {
      return std::abs(other.first - lx) < 42 && std::abs(other.second - ly) < 13;
    });
  };
  for (int tries = 0; tries < 6 && taken(); ++tries) ly -= 13;
  const bool left = lx + 44 > width_;
  labels_.emplace_back(lx, ly);
  markers_ += fmt::format("<text class=\"label\" x=\"{:.1f}\" y=\"{:.1f}\"{}>{}</text>\n",
                          left ? px - 8 : lx, std::max(ly, 11.0),
                          left ? " text-anchor=\"end\"" : "", escaped(label));
}

std::string Plot::axes() const {
  const double bottom = height_ - k_bottom;
  std::string text;
  for (const double tick : round_ticks(x_.least, x_.most, 8)) {
    text += fmt::format(
        "<path class=\"grid\" d=\"M{0:.1f} {1}V{2}\"/><text x=\"{0:.1f}\" y=\"{3}\" "
        "text-anchor=\"middle\">{4:.4g}{5}</text>\n",
        at_x(tick), k_top, bottom, bottom + 18, tick, x_.unit);
  }
  for (const double tick : round_ticks(y_.least, y_.most, 6)) {
    text += fmt::format(
        "<path class=\"grid\" d=\"M{1} {0:.1f}H{2}\"/><text x=\"{3}\" y=\"{4:.1f}\" "
        "text-anchor=\"end\">{5:.4g}{6}</text>\n",
        at_y(tick), k_left, width_ - k_right, k_left - 8, at_y(tick) + 4, tick, y_.unit);
  }
  text += fmt::format("<path class=\"axis\" d=\"M{0} {1}V{2}H{3}\"/>\n", k_left, k_top, bottom,
                      width_ - k_right);
  text += fmt::format("<text class=\"title\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                      (k_left + width_ - k_right) / 2, height_ - 10, escaped(x_.title));
  const double middle = (k_top + bottom) / 2;
  return text + fmt::format(
                    "<text class=\"title\" x=\"16\" y=\"{0}\" text-anchor=\"middle\" "
                    "transform=\"rotate(-90 16 {0})\">{1}</text>\n",
                    middle, escaped(y_.title));
}

std::string Plot::svg(const std::string& description) const {
  return fmt::format("<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n", width_,
                     height_, escaped(description)) +
         axes() + dots_ + lines_ + markers_ + "</svg>\n";
}

}  // namespace emulsion
