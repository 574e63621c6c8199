#include "lower/target.h"

#include <array>

#include "lower/lower.h"
#include "lower/machine.h"

namespace emulsion {

using Halide::Target;

namespace {

// Set by compile_to_object alone; a name that has them means the same target.
constexpr std::array k_own_features = {Target::NoAsserts, Target::NoBoundsQuery, Target::NoRuntime,
                                       Target::UserContext, Target::JIT};

constexpr std::array k_refused_features = {Target::CUDA,   Target::OpenCL, Target::Metal,
                                           Target::Vulkan, Target::WebGPU, Target::D3D12Compute,
                                           Target::HVX_128};

}  // namespace

Result<std::string> resolve_target(const std::string& name) {
  if (name.empty())
    return error("target: the name is empty; take host or x86-64-linux-avx2-fma-...");
  if (name.find(',') != std::string::npos)
    return error("target '{}': one target, not a list", name);
  if (!Target::validate_target_string(name))
    return error(
        "target '{}': not a Halide target; take host, or arch-bits-os-features as in "
        "x86-64-linux-avx-avx2-f16c-fma-sse41",
        name);
  Target target(name);
  if (target.arch != Target::X86 && target.arch != Target::ARM)
    return error("target '{}': only x86 and arm targets are supported", name);
  if (target.bits != 64) return error("target '{}': only 64-bit targets are supported", name);
  for (const Target::Feature feature : k_refused_features)
    if (target.has_feature(feature))
      return error("target '{}': {} is not supported; only CPU targets are", name,
                   Target::feature_to_name(feature));
  for (const Target::Feature feature : k_own_features) target = target.without_feature(feature);
  return target.to_string();
}

Target halide_target(const std::string& target) {
  return Target(target);
}

int vector_width(const std::string& target) {
  return machine_of(target).vector;
}

Machine machine_of(const std::string& name, ElementType weights) {
  const Target target(name);
  Machine machine;
  machine.vector = target.natural_vector_size<float>();
  const bool avx512 =
      target.has_feature(Target::AVX512) || target.has_feature(Target::AVX512_Skylake);
  if (avx512) machine.l2_bytes = 1 << 20;
  if (avx512 || target.arch == Target::ARM) machine.registers = 32;
  machine.core = core_of(name);
  machine.weight_bytes = bytes_of(weights);
  return machine;
}

bool converts_halves(const std::string& target) {
  const Target t(target);
  return t.arch == Target::X86 && t.has_feature(Target::F16C);
}

}  // namespace emulsion
