#include <algorithm>
#include <map>

#include "compile/driver.h"
#include "compile/driver_template.h"
#include "compile/driver_text.h"

namespace emulsion {
namespace {

// Halide's names of x86 features, and the compiler's.
struct CpuFeature {
  const char* halide;
  std::vector<const char*> compiler;
};
const std::vector<CpuFeature>& cpu_features() {
  static const std::vector<CpuFeature> table = {
      {"sse41", {"sse4.1"}},
      {"avx", {"avx"}},
      {"avx2", {"avx2"}},
      {"fma", {"fma"}},
      {"avx512", {"avx512f", "avx512cd"}},
      {"avx512_skylake", {"avx512f", "avx512cd", "avx512vl", "avx512bw", "avx512dq"}},
      {"avx512_cannonlake", {"avx512ifma", "avx512vbmi"}},
      {"avx512_zen4", {"avx512vnni", "avx512bf16"}},
      {"avx512_sapphirerapids", {"avx512vnni", "avx512bf16"}},
  };
  return table;
}

std::string cpu_features_text(const std::string& target) {
  const std::string padded = "-" + target + "-";
  std::string text;
  if (padded.find("-x86-") == std::string::npos) return text;
  std::vector<std::string> seen;
  for (const CpuFeature& feature : cpu_features()) {
    if (padded.find(fmt::format("-{}-", feature.halide)) == std::string::npos) continue;
    for (const char* name : feature.compiler) {
      if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
      seen.push_back(name);
      text += fmt::format("  if (!__builtin_cpu_supports(\"{0}\")) return \"{0}\";\n", name);
    }
  }
  return text.empty() ? text : "  __builtin_cpu_init();\n" + text;
}

// k_dimensions, k_buffers and k_edges.
std::string buffers_text(const Driver& driver) {
  std::string dimensions, buffers, edges;
  std::map<std::string, int> places;  // of a run of dimensions
  int next = 0;
  for (size_t i = 0; i < driver.buffers.size(); ++i) {
    const DriverBuffer& b = driver.buffers[i];
    std::vector<std::string> parts;
    for (const BufferDimension& d : b.dimensions) {
      parts.push_back(fmt::format("{{{}, {}, {}, 0}}", d.min, d.extent, d.stride));
    }
    const std::string run = fmt::format("{}", fmt::join(parts, ", "));
    const auto [place, fresh] = places.try_emplace(run, next);
    if (fresh && !parts.empty()) {
      dimensions += fmt::format("    {},  // {}\n", run, next);
      next += static_cast<int>(parts.size());
    }
    using Where = DriverBuffer::Where;
    const char* where = b.where == Where::workspace ? "k_in_workspace"
                        : b.where == Where::weights ? "k_in_weights"
                        : b.where == Where::input   ? "k_in_input"
                                                    : "k_in_output";
    buffers +=
        fmt::format("    {{{}, {}, {}, {}, {}, {}}},  // {}: {}\n", where, b.dimensions.size(),
                    8 * bytes_of(b.type), b.index, place->second, b.offset, i, one_line(b.comment));
    if (b.where == Where::input || b.where == Where::output) edges += fmt::format("{}, ", i);
  }
  return "// Dimensions as Halide has them: min, extent, stride, flags; innermost first.\n"
         "static struct halide_dimension_t k_dimensions[] = {\n" +
         (dimensions.empty() ? "    {0, 1, 1, 0},\n" : dimensions) +
         "};\n"
         "// Where each buffer lies: its memory, how many dimensions, bits of an element, which "
         "input or output,\n"
         "// its first dimension, and the offset in floats.\n"
         "enum { k_in_workspace, k_in_weights, k_in_input, k_in_output };\n"
         "static const struct {\n"
         "  uint8_t where, rank, bits;\n"
         "  uint16_t index;\n"
         "  uint32_t first_dimension;\n"
         "  int64_t offset;\n"
         "} k_buffers[] = {\n" +
         buffers +
         "};\n"
         "// The buffers of inputs and outputs.\n"
         "static const uint16_t k_edges[] = {" +
         edges + "};\n\n";
}

std::string layers_text(const Driver& driver) {
  std::string text = "static const char *const k_layers[] = {\n";
  for (const DriverCall& call : driver.calls)
    text += fmt::format("    {},\n", c_string(call.layer));
  return text + "};\n\n";
}

std::string kernels_text(const Driver& driver) {
  std::map<std::string, size_t> arity;
  for (const DriverCall& call : driver.calls) arity[call.kernel] = call.buffers.size();
  std::string text = "// The kernels: the network's context, then buffers.\n";
  for (const auto& [kernel, count] : arity) {
    text += fmt::format("int {}(void *user_context", kernel);
    for (size_t i = 0; i < count; ++i) text += ", buffer *";
    text += ");\n";
  }
  return text + "\n";
}

std::string calls_text(const Driver& driver) {
  std::string text;
  for (size_t i = 0; i < driver.calls.size(); ++i) {
    const DriverCall& call = driver.calls[i];
    text += fmt::format("  // {}: {}\n  LAYER({}, {}(c", one_line(call.layer),
                        one_line(call.comment), i, call.kernel);
    for (const int b : call.buffers) text += fmt::format(", &b[{}]", b);
    text += "));\n";
  }
  return text;
}

struct MetadataText {
  std::string estimates, arguments;
};
MetadataText metadata_text(const Driver& driver) {
  MetadataText text;
  text.estimates = "static const int64_t k_zero = 0;\n";
  int index = 0;
  const auto add = [&](const DriverTensor& tensor, const char* kind) {
    const size_t rank = tensor.shape.size();
    if (rank > 0) {
      const Shape extents(tensor.shape.rbegin(), tensor.shape.rend());
      std::string pointers;
      for (size_t d = 0; d < rank; ++d)
        pointers += fmt::format("&k_zero, &k_extents_{}[{}], ", index, d);
      text.estimates += fmt::format("static const int64_t k_extents_{}[] = {{{}}};\n", index,
                                    fmt::join(extents, ", "));
      text.estimates +=
          fmt::format("static const int64_t *const k_estimates_{}[] = {{{}}};\n", index, pointers);
    }
    text.arguments +=
        fmt::format("    {{{}, {}, {}, {{2, 32, 1}}, 0, 0, 0, 0, {}}},\n", c_string(tensor.id),
                    kind, rank, rank > 0 ? fmt::format("k_estimates_{}", index) : "0");
    ++index;
  };
  for (const DriverTensor& t : driver.inputs) add(t, "k_input_buffer");
  for (const DriverTensor& t : driver.outputs) add(t, "k_output_buffer");
  return text;
}

// The tensors' identifiers, each after a prefix.
std::string list(const std::vector<DriverTensor>& tensors, const char* prefix) {
  std::vector<std::string> parts;
  for (const DriverTensor& t : tensors) parts.push_back(prefix + t.id);
  return fmt::format("{}", fmt::join(parts, ", "));
}

std::string joined(const std::string& a, const std::string& b) {
  return a.empty() || b.empty() ? a + b : a + ", " + b;
}

}  // namespace

bool copies_weights(const Driver& driver) {
  return driver.huge_pages && !driver.weights_beside && driver.weights_bytes >= k_huge_page_bytes;
}

std::string driver_source(const Driver& driver) {
  const MetadataText metadata = metadata_text(driver);
  const std::string buffers = "struct halide_buffer_t *";
  const bool copies = copies_weights(driver);
  const std::string inside =
      copies ? fmt::format("options.weights_in_place ? {}_weights : take_weights(context)",
                           driver.name)
             : driver.name + "_weights";
  const std::vector<std::pair<std::string, std::string>> values = {
      {"N", driver.name},
      {"VERSION", one_line(driver.version)},
      {"VERSION_STRING", c_string(driver.version)},
      {"TARGET", driver.target},
      {"THREADS", std::to_string(driver.threads)},
      {"BUFFER_COUNT", std::to_string(driver.buffers.size())},
      {"WORKSPACE_BYTES", std::to_string(driver.workspace_bytes)},
      {"WEIGHTS_BYTES", std::to_string(driver.weights_bytes)},
      {"SHARES_WEIGHTS", copies ? "  int shares_weights;\n" : ""},
      {"COMPILED_IN",
       driver.name + (driver.weights_beside ? ".h" : ".h and " + driver.name + ".weights")},
      {"WEIGHTS_FILE",
       driver.weights_beside
           ? fmt::format("options.weights_file ? options.weights_file : \"{}.weights\"",
                         driver.name)
           : "options.weights_file"},
      {"TAKE_WEIGHTS",
       driver.weights_beside ? "weights" : fmt::format("weights ? weights : {}", inside)},
      {"RELEASE_WEIGHTS", copies ? "  release_weights(context);\n" : ""},
      {"CPU_FEATURES", cpu_features_text(driver.target)},
      {"SCRATCH_MEMBER", driver.heap_scratch ? k_driver_scratch_member : ""},
      {"SCRATCH_CREATE",
       driver.heap_scratch ? "  pthread_mutex_init(&context->scratch_mutex, 0);\n" : ""},
      {"SCRATCH_DESTROY", driver.heap_scratch ? k_driver_scratch_destroy : ""},
      {"CALLS", calls_text(driver)},
      {"PARAMETERS", joined(list(driver.inputs, "const float *"), list(driver.outputs, "float *"))},
      {"BUFFERS",
       joined(list(driver.inputs, buffers.c_str()), list(driver.outputs, buffers.c_str()))},
      {"INPUTS", driver.inputs.empty() ? "0" : list(driver.inputs, "")},
      {"OUTPUTS", list(driver.outputs, "")},
      {"ALL", joined(list(driver.inputs, ""), list(driver.outputs, ""))},
      {"ESTIMATES", metadata.estimates},
      {"ARGUMENTS", metadata.arguments},
      {"ARGUMENT_COUNT", std::to_string(driver.inputs.size() + driver.outputs.size())},
  };
  return fill(k_driver_prelude, values) + kernels_text(driver) +
         (driver.weights_beside ? "" : fill(k_driver_weights_inside, values)) +
         fill(k_driver_memory, values) + buffers_text(driver) + layers_text(driver) +
         fill(k_driver_pool, values) + fill(k_driver_context, values) +
         fill(k_driver_parallel_loop, values) +
         (copies ? fill(k_driver_weights_copy, values) : "") +
         (driver.heap_scratch ? fill(k_driver_scratch, values) : "") +
         fill(k_driver_create, values) + fill(k_driver_run, values) +
         fill(k_driver_metadata, values);
}

std::vector<std::string> driver_symbols(const std::string& name) {
  std::vector<std::string> symbols = {name};
  for (const char* suffix : {"create", "run_in", "run_arrays", "destroy", "run", "argv", "metadata",
                             "workspace_bytes", "last_error", "version"}) {
    symbols.push_back(name + "_" + suffix);
  }
  return symbols;
}

}  // namespace emulsion
