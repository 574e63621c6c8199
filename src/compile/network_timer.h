// Whole networks, each by its plan, timed against each other in turns.
#pragma once

#include <optional>

#include "autoschedule/records.h"
#include "compile/loaded_network.h"

namespace emulsion {

struct PlannedNetwork {
  Plan plan;
  std::optional<LoadedNetwork> loaded;  // once it was needed
};

class NetworkTimer {
 public:
  // What is referred to outlives the timer. records: times that are known, and those that are
  // measured; null: none.
  NetworkTimer(const Network& network, KernelCache& cache, CompileOptions options,
               Records* records);

  Result<LoadedNetwork*> load(PlannedNetwork& network);
  Result<NetworkRecord> time(PlannedNetwork& original, PlannedNetwork& changed);

 private:
  const Network& network_;
  KernelCache& cache_;
  CompileOptions options_;
  Records* records_;
};

// The changed one: in minima and medians, the minima by more than noise.
bool clearly_faster(const NetworkRecord& record);
bool no_slower(const NetworkRecord& record);

}  // namespace emulsion
