#include "legality/inherit_sums.h"

#include <cmath>

namespace emulsion {
namespace {

// A variance this small beside the squared mean is rounding.
constexpr double k_no_variance = 1e-13;

void add(std::vector<double>& to, const std::vector<double>& from) {
  if (to.empty()) to.assign(from.size(), 0.0);
  for (size_t i = 0; i < from.size(); ++i) to[i] += from[i];
}

struct Moments {
  double mean, variance;
};

Moments moments(double sum, double squares, double count) {
  const double mean = sum / count, variance = squares / count - mean * mean;
  return {mean, variance > k_no_variance * mean * mean ? variance : 0.0};
}

}  // namespace

PlaceSums& PlaceSums::operator+=(const PlaceSums& other) {
  count += other.count;
  add(n, other.n);
  add(nn, other.nn);
  add(gg, other.gg);
  add(ggn, other.ggn);
  add(ggnn, other.ggnn);
  return *this;
}

CellSums& CellSums::operator+=(const CellSums& other) {
  add(x, other.x);
  add(xx, other.xx);
  add(ggx, other.ggx);
  add(ggxx, other.ggxx);
  add(ggxn, other.ggxn);
  return *this;
}

Weighted::Weighted(const Array<float>& n, const Array<float>& g)
    : n_(n), channels_(n.shape[1]), rows_(element_count(n.shape) / n.shape[1]), gg_(n.data.size()) {
  for (size_t i = 0; i < gg_.size(); ++i) gg_[i] = g.data[i] * g.data[i];
}

void Weighted::add_to(PlaceSums& sums) const {
  sums.count += static_cast<double>(rows_);
  for (auto* v : {&sums.n, &sums.nn, &sums.gg, &sums.ggn, &sums.ggnn}) v->resize(channels_, 0.0);
  for (int64_t r = 0; r < rows_; ++r) {
    const float *n = &n_.data[r * channels_], *gg = &gg_[r * channels_];
    for (int64_t c = 0; c < channels_; ++c) {
      const double v = n[c], weighted = v * gg[c];
      sums.n[c] += v;
      sums.nn[c] += v * v;
      sums.gg[c] += gg[c];
      sums.ggn[c] += weighted;
      sums.ggnn[c] += weighted * v;
    }
  }
}

void Weighted::add_to(const Array<float>& x_in, CellSums& sums) const {
  EMULSION_CHECK(x_in.shape == n_.shape);
  for (auto* v : {&sums.x, &sums.xx, &sums.ggx, &sums.ggxx, &sums.ggxn}) v->resize(channels_, 0.0);
  double *sx = sums.x.data(), *sxx = sums.xx.data(), *sggx = sums.ggx.data(),
         *sggxx = sums.ggxx.data(), *sggxn = sums.ggxn.data();
  for (int64_t r = 0; r < rows_; ++r) {
    const float *x = &x_in.data[r * channels_], *n = &n_.data[r * channels_],
                *gg = &gg_[r * channels_];
    for (int64_t c = 0; c < channels_; ++c) {
      const double v = x[c], weighted = v * gg[c];
      sx[c] += v;
      sxx[c] += v * v;
      sggx[c] += weighted;
      sggxx[c] += weighted * v;
      sggxn[c] += weighted * n[c];
    }
  }
}

double identity_energy(const PlaceSums& place) {
  double energy = 0;
  for (size_t c = 0; c < place.n.size(); ++c) {
    const double mean = place.n[c] / place.count;
    energy += place.ggnn[c] - 2 * mean * place.ggn[c] + mean * mean * place.gg[c];
  }
  return std::max(energy, 0.0);
}

double reconstruction_error(const PlaceSums& place, const CellSums& cell, const TrainedSlot& slot) {
  double error = 0;
  for (size_t c = 0; c < cell.x.size(); ++c) {
    const Moments x = moments(cell.x[c], cell.xx[c], place.count);
    const Moments n = moments(place.n[c], place.nn[c], place.count);
    double scale = 0, shift = n.mean;
    if (slot.scale) {
      scale = slot.scale->data[c] / std::sqrt(x.variance + slot.epsilon);
      shift = slot.shift->data[c];
    } else if (x.variance > 0) {
      scale = std::sqrt(n.variance / x.variance);
    }
    // n' = s x + t
    const double s = scale, t = shift - x.mean * scale;
    const double sum = s * s * cell.ggxx[c] + t * t * place.gg[c] + place.ggnn[c] +
                       2 * (s * t * cell.ggx[c] - s * cell.ggxn[c] - t * place.ggn[c]);
    error += std::max(sum, 0.0);
  }
  return error;
}

}  // namespace emulsion
