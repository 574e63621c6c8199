// How configurations are found: one table of strategies behind one interface. What they propose is
// judged and measured as whole networks, and the corrected table is searched again.
#pragma once

#include <string>
#include <vector>

#include "autoschedule/additive_table.h"

namespace emulsion {

struct SearchRequest {
  const SearchSpace& space;
  const AdditiveTable& table;
  int configurations = 0;  // that it may look at; exact needs no such limit
  uint64_t seed = 0;
};

struct Strategy {
  const char* name;
  const char* sentence;
  // Configurations worth judging. A pure function of the request.
  std::vector<Configuration> (*search)(const SearchRequest& request);
};

const std::vector<Strategy>& strategies();
Result<const Strategy*> find_strategy(const std::string& name);

}  // namespace emulsion
