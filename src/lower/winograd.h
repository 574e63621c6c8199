// The transforms of Winograd's minimal filtering F(m, r): m outputs of an r-tap filter from
// m + r - 1 products,  y = A^T [ (G g) . (B^T d) ],  nested for two dimensions. By Toom-Cook over
// the points 0, +-p, ..., infinity. Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015. Plain C++, no Halide.
#pragma once

#include <vector>

namespace emulsion {

using Matrix = std::vector<std::vector<double>>;

struct WinogradTransforms {
  int outputs = 0, taps = 0;  // m, r
  Matrix input;               // B^T, (m+r-1) x (m+r-1)
  Matrix weight;              // G,   (m+r-1) x r
  Matrix output;              // A^T, m x (m+r-1)

  int products() const { return outputs + taps - 1; }
};

// Rows (columns of `output`) stand in the order 0, p, -p, q, -q, ..., infinity: those of p and -p
// differ in the signs of odd positions alone. m + r is odd.
WinogradTransforms winograd_transforms(int outputs, int taps);

}  // namespace emulsion
