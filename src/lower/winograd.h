// The transforms of Winograd's minimal filtering F(m, r): m outputs of an r-tap filter from
// m + r - 1 products,  y = A^T [ (G g) . (B^T d) ],  nested for two dimensions. By Toom-Cook over
// the points 0, +-p, ..., infinity. Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015. Plain C++, no Halide.
//
// A filter of stride s is s filters of stride 1, of every s-th tap and input, whose outputs are
// added: together s (m - 1) + r products, as many as the inputs of m outputs. r is at least s.
#pragma once

#include <vector>

namespace emulsion {

using Matrix = std::vector<std::vector<double>>;

struct WinogradTransforms {
  int outputs = 0, taps = 0, stride = 1;  // m, r, s
  Matrix input;                           // B^T, products x products
  Matrix weight;                          // G,   products x r
  Matrix output;                          // A^T, m x products
  // Rows (columns of `output`) p of which p + 1 is that of the negative point: they differ in the
  // signs of odd positions alone, counted in strides. None of a filter where a point has no
  // negative.
  std::vector<int> pairs;

  int products() const { return stride * (outputs - 1) + taps; }
};

WinogradTransforms winograd_transforms(int outputs, int taps, int stride = 1);

// The weights at a tile's products x products places, (G g) G^T, of r x r taps g.
void transform_taps(const WinogradTransforms& t, const float* taps, std::vector<double>& places);

}  // namespace emulsion
