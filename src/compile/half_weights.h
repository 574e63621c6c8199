// Which layers gain from weights stored in half precision, by the cost model: those whose weights
// do not stay in a cache, and whose time is that of streaming them.
#pragma once

#include <optional>
#include <vector>

#include "compile/tolerance.h"

namespace emulsion {

struct HalfWeightOptions {
  CompileOptions compile;  // target, threads and compiler
  double tolerance = k_default_tolerance;
  CheckData data;
};

struct HalfWeights {
  Plan plan;  // every choice spelled out
  ToleranceReport report;
};

// The plan with such layers' weights in half precision, as far as the whole network stays within
// the tolerance. Layers whose kernel the plan names keep its algorithm and schedule.
Result<HalfWeights> with_half_weights(const Network& network, const Plan& plan, KernelCache& cache,
                                      const HalfWeightOptions& options);

// The choice of half precision for a call's spec, its gain in cycles and its error not measured, or
// nothing where the cost model expects no gain.
std::optional<RiskyChoice> half_choice(const KernelSpec& spec);

// Weights that the spec's kernel reads: more than the layer has where they are transformed.
int64_t stored_weights(const KernelSpec& spec);

// The spec with weights in half precision, or why it keeps f32.
Result<KernelSpec> halved(const KernelSpec& spec);

// Whether the weights, in f32, are more than what a layer can expect to keep in the second level
// cache.
bool streams_weights(const KernelSpec& spec);

}  // namespace emulsion
