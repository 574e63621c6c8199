// Better algorithms and schedules by measuring: first which convs are fused, then for the distinct
// convs of a network, the heaviest first, the alternatives that the cost model expects to be fast
// are compiled and timed with cold caches, as a network finds them, and the fastest is kept. Those
// that err more than is chosen without asking are kept as far as the whole network stays within a
// tolerance. What is left of the time goes to whole networks. The same records give the same plan
// where nothing is left to measure.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>

#include "compile/chain_search.h"
#include "compile/tolerance.h"
#include "compile/whole_networks.h"
#include "kernels/kernel_cache.h"
#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

struct RefineOptions {
  std::string target = "host";
  int threads = 1;
  std::string cc = "clang";
  // Compiling included. What is in hand when they are over is finished: a few kernels, the check of
  // the tolerance, one comparison of whole networks.
  double seconds = 60;
  std::filesystem::path records;  // times that are known, and those that are measured; empty: none
  double tolerance = k_default_tolerance;  // 0: nothing that errs more is chosen
  ElementType weights = ElementType::f32;  // f16: half precision is among the choices
  CheckData data;                          // that the tolerance is checked on
  // Called with what is known to be fastest kernel by kernel, whenever one has been measured.
  std::function<Status(const Plan&)> best_so_far;
};

struct Refined {
  Plan plan;                               // every choice spelled out
  int chains_tried = 0, chains_taken = 0;  // kinds of chains, fused or taken apart
  std::optional<ToleranceReport> report;   // where something risky was the fastest of its layer
  std::optional<WholeNetworkResult> networks;
};

// Never slower than the plan that it began with, as measured on whole networks. Interrupted
// (Ctrl-C): the best so far, without what could not be checked, and not measured as a whole.
Result<Refined> refine(const Network& network, const Plan& plan, KernelCache& cache,
                       const RefineOptions& options);

}  // namespace emulsion
