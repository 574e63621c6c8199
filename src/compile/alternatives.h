// What a layer could be computed with: the part of a search's space that is worth measuring.
#pragma once

#include <vector>

#include "lower/kernel_spec.h"

namespace emulsion {

class CostModel;

struct AlternativeOptions {
  bool risky = false;                      // algorithms that err more too
  ElementType weights = ElementType::f32;  // f16: half precision too
};

struct Alternative {
  KernelSpec spec;
  double roofline_ms = 0;  // of its algorithm's first schedule (CostModel); 0: not known
};

// Alternatives of a conv or dense layer worth measuring, the kernel itself first: of each
// algorithm that the model expects to come near the best one, the schedules that are expected to be
// fastest, of the fastest algorithm first; the same of weights in half precision, where that is
// expected to pay.
std::vector<Alternative> alternatives(const KernelSpec& spec, const CostModel& model,
                                      const AlternativeOptions& options);

}  // namespace emulsion
