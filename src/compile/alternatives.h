// What a layer could be computed with: the part of a search's space that is worth measuring.
#pragma once

#include <vector>

#include "lower/kernel_spec.h"

namespace emulsion {

struct AlternativeOptions {
  bool risky = false;                      // algorithms that err more too
  ElementType weights = ElementType::f32;  // f16: half precision too
};

// Alternatives of a conv or dense layer worth measuring, the kernel itself first: of each
// algorithm that is expected to come near the best one, the schedules that are expected to be
// fastest; then the same of weights in half precision, where that is expected to pay.
std::vector<KernelSpec> alternatives(const KernelSpec& spec, const AlternativeOptions& options);

}  // namespace emulsion
