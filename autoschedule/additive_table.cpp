#include "autoschedule/additive_table.h"

namespace emulsion {

double AdditiveTable::ms(const Configuration& configuration) const {
  double sum = rest_ms;
  for (size_t s = 0; s < slots.size(); ++s) sum += slots[s][configuration[s]].ms;
  return sum;
}

double AdditiveTable::loss(const Configuration& configuration) const {
  double sum = 0;
  for (size_t s = 0; s < slots.size(); ++s) sum += slots[s][configuration[s]].loss;
  return sum;
}

}  // namespace emulsion
