// A network and a plan -> a static library, a header, a readable driver and a manifest.
// The interface of the library is described at the top of the header it writes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "kernels/kernel_cache.h"
#include "network/network.h"
#include "plan/plan.h"

namespace emulsion {

struct CompileOptions {
  std::string name;                 // C prefix; must be a C identifier
  std::filesystem::path directory;  // NAME.a, NAME.h, NAME.c, manifest.json go here
  std::string target = "host";
  int threads = 1;  // default of the library's options
  std::string cc = "clang";
  bool emit_only = false;  // write the driver, weights and header, build no library
  // NAME.weights stays a file that contexts read; so do weights that no library holds.
  bool weights_beside = false;
  bool shared_runtime = false;  // leave Halide's runtime out of the library
};

struct KernelUse {
  std::string layer;   // name hint
  std::string kernel;  // C symbol
  std::string op, algorithm, schedule, rewrite;
  ElementType weights = ElementType::f32;  // as they are stored
  int64_t multiplies = 0;
  int64_t code_bytes = 0;
};

struct CompiledNetwork {
  std::filesystem::path library, header, driver, manifest;  // library: empty with emit_only
  std::filesystem::path weights;                            // empty: in the library
  std::vector<KernelUse> kernels;                           // one a call, in order
  int64_t workspace_bytes = 0, weights_bytes = 0, code_bytes = 0;
};

// `network` is as imported (not simplified); the plan's rewrites are applied. Progress on stderr.
// Files appear under their names when all of them are complete.
Result<CompiledNetwork> compile_network(const Network& network, const Plan& plan,
                                        KernelCache& cache, const CompileOptions& options);

// A valid C identifier for an ONNX name: every character outside [A-Za-z0-9_] becomes '_', and a
// leading digit (or an empty name) gets '_' in front.
std::string c_identifier(const std::string& onnx_name);

}  // namespace emulsion
