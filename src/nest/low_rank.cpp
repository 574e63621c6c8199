#include "nest/low_rank.h"

#include <Eigen/Eigenvalues>
#include <algorithm>
#include <cmath>

#include "base/result.h"

namespace emulsion {

// U and S come from the eigenvalues of w w^T (or V and S from those of w^T w, when that is
// smaller), in double: a conv's matrix is wide, and the SVD itself is many times slower.
LowRank low_rank(const DoubleMatrix& w, int64_t rank) {
  const bool wide = w.rows() <= w.cols();
  const Eigen::Index size = std::min(w.rows(), w.cols());
  Eigen::MatrixXd gram = Eigen::MatrixXd::Zero(size, size);
  if (wide) {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(w);
  } else {
    gram.selfadjointView<Eigen::Lower>().rankUpdate(w.transpose());
  }
  const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXd> solver(gram);
  EMULSION_CHECK(solver.info() == Eigen::Success);
  // A matrix of co/b > ci k k rows has fewer singular vectors than that; the rest of the rank is
  // zero.
  const int64_t kept = std::min<int64_t>(rank, size);
  DoubleMatrix vectors = solver.eigenvectors().rightCols(kept).rowwise().reverse();
  const Eigen::VectorXd values = solver.eigenvalues().tail(kept).reverse();
  // Eigenvalues are the squares of S; those that rounding alone made count as zero.
  const double zero = values.size() ? values[0] * 1e-14 : 0;
  Eigen::VectorXd root(kept), inverse(kept);  // sqrt(S) and 1 / sqrt(S)
  for (int64_t i = 0; i < kept; ++i) {
    const bool keep = values[i] > zero;
    root[i] = keep ? std::pow(values[i], 0.25) : 0;
    inverse[i] = keep ? 1 / root[i] : 0;
    // The sign of a singular vector is free; its largest element decides it, so that it is the same
    // everywhere.
    Eigen::Index largest = 0;
    vectors.col(i).cwiseAbs().maxCoeff(&largest);
    if (vectors(largest, i) < 0) vectors.col(i) *= -1;
  }
  LowRank factors{DoubleMatrix::Zero(rank, w.cols()), DoubleMatrix::Zero(w.rows(), rank)};
  if (wide) {
    factors.narrow.topRows(kept) = inverse.asDiagonal() * (vectors.transpose() * w);
    factors.widen.leftCols(kept) = vectors * root.asDiagonal();
  } else {
    factors.narrow.topRows(kept) = root.asDiagonal() * vectors.transpose();
    factors.widen.leftCols(kept) = (w * vectors) * inverse.asDiagonal();
  }
  return factors;
}

}  // namespace emulsion
