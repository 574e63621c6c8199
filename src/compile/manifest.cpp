#include "compile/manifest.h"

#include <nlohmann/json.hpp>

namespace emulsion {
namespace {

using Json = nlohmann::ordered_json;

Json tensors_json(const std::vector<DriverTensor>& tensors) {
  Json list = Json::array();
  for (const DriverTensor& t : tensors)
    list.push_back({{"name", t.name}, {"c_name", t.id}, {"shape", t.shape}});
  return list;
}

}  // namespace

std::string manifest_json(const CompiledNetwork& compiled, const Driver& driver,
                          const CompileOptions& options) {
  Json json = {{"format", "emulsion-manifest-1"},
               {"name", driver.name},
               {"emulsion", EMULSION_VERSION},
               {"halide", EMULSION_HALIDE_VERSION},
               {"target", driver.target},
               {"threads", driver.threads},
               {"runtime", options.shared_runtime ? "shared" : "inside"},
               {"weights", driver.weights_beside ? "beside" : "inside"},
               {"inputs", tensors_json(driver.inputs)},
               {"outputs", tensors_json(driver.outputs)},
               {"workspace_bytes", compiled.workspace_bytes},
               {"weights_bytes", compiled.weights_bytes},
               {"code_bytes", compiled.code_bytes}};
  Json rewrites = Json::array(), kernels = Json::array();
  for (const KernelUse& use : compiled.kernels) {
    if (!use.rewrite.empty()) rewrites.push_back({{"layer", use.layer}, {"rewrite", use.rewrite}});
    kernels.push_back({{"layer", use.layer},
                       {"kernel", use.kernel},
                       {"op", use.op},
                       {"algorithm", use.algorithm},
                       {"schedule", use.schedule},
                       {"weights", to_text(use.weights)},
                       {"rewrite", use.rewrite},
                       {"multiplies", use.multiplies},
                       {"code_bytes", use.code_bytes}});
  }
  // Rewrites change the function that is computed; everything else about a kernel does not.
  json["rewrites"] = rewrites;
  json["kernels"] = kernels;
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace emulsion
