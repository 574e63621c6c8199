// The distinct kernels of a network, and what could take their place, measured with cold caches, as
// a network finds them.
#pragma once

#include <functional>
#include <vector>

#include "autoschedule/records.h"
#include "compile/alternatives.h"
#include "compile/cost_model.h"
#include "compile/prepare.h"
#include "kernels/kernel_cache.h"

namespace emulsion {

struct MeasuredKernel {
  KernelSpec spec;
  double ms = 0;  // with cold caches
};

struct DistinctKernel {
  KernelSpec spec;
  std::vector<size_t> calls;             // all that use it
  double own_ms = 0;                     // of the kernel itself; 0: not measured
  std::vector<MeasuredKernel> measured;  // it and what could take its place, fastest first
};

// Convs, and where weights are to be 16 bits dense layers; those first that the model expects to
// take most of the network's time.
std::vector<DistinctKernel> distinct_kernels(const PreparedNetwork& prepared,
                                             const CostModel& model, ElementType weights);

// The first that needs no leave; null: nothing was measured.
const MeasuredKernel* fastest_safe(const DistinctKernel& kernel);

class KernelMeasurer {
 public:
  // What is referred to outlives it. records: times that are known, and those that are measured;
  // null: none. over: whether to begin with no more.
  KernelMeasurer(KernelCache& cache, CostModel& model, Records* records,
                 const AlternativeOptions& alternatives, int threads, std::function<bool()> over);

  // Those of its alternatives that there is time for and that work; the kernel itself before
  // others that are not clearly faster.
  Status measure(DistinctKernel& kernel);

 private:
  // Milliseconds with cold caches, from the records or measured; 0 where a kernel fails.
  Result<std::vector<double>> times_of(const std::vector<Alternative>& alternatives);

  KernelCache& cache_;
  CostModel& model_;
  Records* records_;
  AlternativeOptions alternatives_;
  std::function<bool()> over_;
  TimingOptions timing_;
};

// What a search's cost model begins with: rates from the records or measured, and what the records
// say of its errors.
Result<CostModel> cost_model(KernelCache& cache, const std::string& target, int threads,
                             Records* records);

}  // namespace emulsion
