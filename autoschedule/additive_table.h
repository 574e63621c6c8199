// Time and loss of every choice of every slot. Both add up over a network's slots, so a network is
// a sum of look-ups; what is measured or judged whole corrects the entries.
#pragma once

#include <vector>

#include "autoschedule/space.h"

namespace emulsion {

// Loss is whatever of the original is given up: smaller is better, and 0 is the original.
struct TableEntry {
  double ms = 0;  // what the choice adds to rest_ms; not finite where it cannot be computed
  double loss = 0;
};

struct AdditiveTable {
  double rest_ms = 0;                          // of everything that no choice changes
  std::vector<std::vector<TableEntry>> slots;  // by slot, by choice

  double ms(const Configuration& configuration) const;
  double loss(const Configuration& configuration) const;
};

}  // namespace emulsion
