// A scatter plot with axes, as SVG text: dots, lines and labelled markers in data coordinates.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace emulsion {

// For text and attributes of HTML and SVG.
std::string escaped(const std::string& text);

struct Axis {
  std::string title;
  double least = 0, most = 1;
  std::string unit;  // behind each number: "%"
};

class Plot {
 public:
  Plot(double width, double height, Axis x, Axis y);

  // kind: a class of the page's style.
  void dot(const std::string& kind, double x, double y, double radius, const std::string& tip);
  void line(const std::string& kind, const std::vector<std::pair<double, double>>& points);
  // A ring with a label, above and to its right.
  void marker(const std::string& kind, double x, double y, const std::string& label,
              const std::string& tip);
  std::string svg(const std::string& description) const;

 private:
  double at_x(double x) const;
  double at_y(double y) const;
  std::string axes() const;

  double width_, height_;
  Axis x_, y_;
  std::string dots_, lines_, markers_;
  mutable std::vector<std::pair<double, double>> labels_;  // where labels are, to keep them apart
};

// Ticks for an axis: a few round numbers.
std::vector<double> round_ticks(double least, double most, int about);

}  // namespace emulsion
