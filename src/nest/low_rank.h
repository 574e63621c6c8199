// The best approximation of a matrix by two narrow factors: weights for bottlenecks to inherit.
#pragma once

#include <Eigen/Core>
#include <cstdint>

namespace emulsion {

using DoubleMatrix = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>;

struct LowRank {
  DoubleMatrix narrow;  // rank x columns
  DoubleMatrix widen;   // rows x rank
};

// The best approximation widen * narrow of w of this rank (Eckart and Young): the truncated SVD U S
// V^T, with sqrt(S) given to each factor. A rank above the matrix's own leaves zeros.
LowRank low_rank(const DoubleMatrix& w, int64_t rank);

}  // namespace emulsion
