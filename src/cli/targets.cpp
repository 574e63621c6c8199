// emulsion targets: what kernels can be compiled for.
#include <nlohmann/json.hpp>

#include "cli/processor.h"
#include "cli/verb.h"
#include "lower/lower.h"

namespace emulsion {
namespace {

struct TargetRow {
  const char* name;
  const char* sentence;
};

constexpr TargetRow k_targets[] = {
    {"host", "this machine"},
    {"x86-64-linux", "any x86-64: SSE2 only"},
    {"x86-64-linux-sse41", "SSE4.1, from about 2008 on"},
    {"x86-64-linux-avx-sse41", "AVX, from 2011 on"},
    {"x86-64-linux-avx-avx2-f16c-fma-sse41", "AVX2 with FMA, from 2013 on"},
    {"x86-64-linux-avx-avx2-avx512-avx512_skylake-f16c-fma-sse41", "AVX-512 of Skylake servers"},
    {"x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-f16c-fma-sse41",
     "AVX-512 of Ice Lake"},
    {"x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_skylake-avx512_zen4-f16c-fma-sse41",
     "AVX-512 of Zen 4"},
    {"x86-64-linux-avx-avx2-avx512-avx512_cannonlake-avx512_sapphirerapids-avx512_skylake-avx512_"
     "zen4-"
     "f16c-fma-sse41",
     "AVX-512 of Sapphire Rapids"},
    {"arm-64-linux", "NEON, with --emit-only"},
};

// Families that Halide compiles for and that we do not take yet.
constexpr const char* k_not_yet[] = {"arm-64 (SVE)", "riscv",  "wasm",   "hexagon (HVX)",
                                     "cuda",         "opencl", "vulkan", "metal"};

Status list_targets(bool json) {
  nlohmann::json rows = nlohmann::json::array();
  for (const TargetRow& row : k_targets) {
    const auto resolved = resolve_target(row.name);
    if (!resolved.ok()) return resolved.error();
    const Status runs = check_runs_here(*resolved);
    rows.push_back({{"name", row.name},
                    {"target", *resolved},
                    {"sentence", row.sentence},
                    {"vector_width", vector_width(*resolved)},
                    {"runs_here", runs.ok()}});
  }
  if (json) {
    fmt::print("{}\n", nlohmann::json{{"targets", rows}, {"not_yet", k_not_yet}}.dump(2));
    return ok();
  }
  fmt::print("{:<28} {:>12}  {:<9}  --target\n", "target", "f32 a vector", "runs here");
  for (const auto& row : rows) {
    fmt::print("{:<28} {:>12}  {:<9}  {}\n", row["sentence"].get<std::string>(),
               row["vector_width"].get<int>(), row["runs_here"].get<bool>() ? "yes" : "no",
               row["name"].get<std::string>());
  }
  fmt::print("\nhost is {}\n", rows[0]["target"].get<std::string>());
  fmt::print("Any x86-64 target of Halide's can be named. Not supported yet:");
  for (const char* name : k_not_yet)
    fmt::print(" {}{}", name, name == *std::rbegin(k_not_yet) ? ".\n" : ",");
  return ok();
}

}  // namespace

std::function<Status()> define_targets(CLI::App& app) {
  auto json = std::make_shared<bool>(false);
  app.add_flag("--json", *json, "Print JSON");
  app.footer(
      "Example:\n  emulsion targets\n  emulsion compile M.onnx -o out --target "
      "x86-64-linux-avx-avx2-f16c-fma-sse41");
  return [json] { return list_targets(*json); };
}

}  // namespace emulsion
