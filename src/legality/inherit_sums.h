// The sums over images and pixels that the inherit score is made of. They are gathered in one go
// through the images, before the statistics that a rewritten conv's output is normalised by are
// known: the error is a quadratic form in that normalisation's scale and shift.
#pragma once

#include <vector>

#include "legality/array.h"
#include "legality/trained_network.h"

namespace emulsion {

// By channel, of the original's value n behind a slot and the gradient g by it.
struct PlaceSums {
  double count = 0;  // images times pixels
  std::vector<double> n, nn, gg, ggn, ggnn;

  PlaceSums& operator+=(const PlaceSums& other);
};

// By channel, of the rewritten conv's output x.
struct CellSums {
  std::vector<double> x, xx, ggx, ggxx, ggxn;

  CellSums& operator+=(const CellSums& other);
};

// A value and its gradient on one batch, ready to weigh any number of rewritten outputs.
class Weighted {
 public:
  Weighted(const Array<float>& n, const Array<float>& g);
  void add_to(PlaceSums& sums) const;
  void add_to(const Array<float>& x, CellSums& sums) const;

 private:
  const Array<float>& n_;
  int64_t channels_, rows_;
  std::vector<float> gg_;
};

// sum (g (n - mean n))^2
double identity_energy(const PlaceSums& place);

// sum (g (n' - n))^2, with n' the x normalised by its own mean and variance and given the slot's
// scale and shift, or n's own mean and variance where the slot has no norm.
double reconstruction_error(const PlaceSums& place, const CellSums& cell, const TrainedSlot& slot);

}  // namespace emulsion
