#include "lower/core.h"

#include <Halide.h>

namespace emulsion {

using Halide::Target;

Core core_of(const std::string& name) {
  const Target target(name);
  Core core;
  if (target.has_feature(Target::AVX512_SapphireRapids))
    core.l2_bytes = 2 << 20;
  else if (target.has_feature(Target::AVX512) || target.has_feature(Target::AVX512_Skylake))
    core.l2_bytes = 1 << 20;
  core.zen4 = target.has_feature(Target::AVX512_Zen4) && !target.has_feature(Target::AVX512_Zen5) &&
              !target.has_feature(Target::AVX512_SapphireRapids);
  if (core.zen4) {
    core.fmas = 1;
    core.vector_loads = 1;
    core.delay = 0.2;
    core.unit = 0.92;
    core.near_bytes = 14;
    core.far_bytes = 7.5;
    core.apart = 0.05;
    core.interruption = 0;
    core.conflict = 2;
  }
  return core;
}

}  // namespace emulsion
