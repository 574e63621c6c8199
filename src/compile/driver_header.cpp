#include <numeric>

#include "compile/driver.h"
#include "compile/driver_text.h"

namespace emulsion {
namespace {

constexpr const char* k_header =
    R"C(// @N@: a neural network compiled to a library. Written by `emulsion compile`; needs no other header.
// @VERSION@
//
//   #include "@N@.h"
//
//   int main(void) {
//     static float @EXAMPLE_DECLARATIONS@;
//     @N@_context *context = @N@_create(0);
//     if (!context) return 1;  // @N@_last_error(0) says why
//     int code = @N@_run_in(context, @EXAMPLE_ARGUMENTS@);
//     @N@_destroy(context);
//     return code;
//   }
//
//   c++ app.cpp @N@.a -lpthread -ldl
//
// Tensors are dense arrays of float in ONNX's order (images: N C H W). Inputs must not overlap outputs.
// Functions that return int return 0 when they did what they say; else @N@_last_error says what is wrong.
// Nothing is allocated by a run; it uses up to 2 MB of the calling thread's stack. A context serves one thread at a time; use one context a thread.
// C names of tensors: every character of the ONNX name outside [A-Za-z0-9_] is '_', a leading digit gets a '_' in front;
// a name that is taken already gets _2, _3, ... behind.
#ifndef EMULSION_@N@_H
#define EMULSION_@N@_H

#ifdef __cplusplus
extern "C" {
#endif

struct halide_buffer_t;
struct halide_filter_metadata_t;

@CONSTANTS@
typedef struct @N@_context @N@_context;

// All zero means: the defaults.
typedef struct @N@_options {
  int threads;          // that run a layer; 0: @THREADS@. More than 1: the context's own, beside the caller's
  const void *weights;  // content of a file like @N@.weights, 64-byte aligned; 0: what weights_file says
  void *workspace;      // @N@_workspace_bytes() bytes, 64-byte aligned, for this context alone; 0: allocated
  void (*error)(void *user, const char *message);  // called beside setting the last error
  void (*timing)(void *user, int layer, const char *name, double seconds);  // called after each layer
  void *user;           // given to both
  int weights_in_place; // not 0: the library's weights are read where they are; 0: @IN_HUGE_PAGES@
  const char *weights_file;  // a file like @N@.weights, which each context reads for itself; 0: @WITHOUT_FILE@
} @N@_options;

// A context, or 0. options may be 0. Weights and workspace that are given must outlive the context;
// weights_file is read by this call.
@N@_context *@N@_create(const @N@_options *options);
int @N@_run_in(@N@_context *context, @PARAMETERS@);
// The same with the pointers in arrays, in the order above.
int @N@_run_arrays(@N@_context *context, const float *const *inputs, float *const *outputs);
void @N@_destroy(@N@_context *context);

// On a context of the library's own; calls from several threads wait for each other.
int @N@_run(@PARAMETERS@);
// The same on Halide's buffers of host memory: dense, dimensions innermost first (images: x y c n). A buffer whose
// host is 0 is asked for its bounds: it gets them, and nothing is run.
int @N@(@BUFFERS@);
int @N@_argv(void **arguments);
const struct halide_filter_metadata_t *@N@_metadata(void);

unsigned long long @N@_workspace_bytes(void);
// What went wrong last on this context; on 0: in this thread, with any context or none. Never 0.
const char *@N@_last_error(const @N@_context *context);
const char *@N@_version(void);

#ifdef __cplusplus
}
#endif
#endif
)C";

std::string constants_text(const Driver& driver) {
  std::string text;
  text += fmt::format("enum {{ {0}_inputs = {1}, {0}_outputs = {2} }};\n", driver.name,
                      driver.inputs.size(), driver.outputs.size());
  const auto add = [&](const DriverTensor& tensor, const char* what) {
    const std::string prefix = driver.name + "_" + tensor.id;
    const auto rank = tensor.shape.size();
    text += fmt::format("// {} \"{}\": {}\n", what, one_line(tensor.name), to_text(tensor.shape));
    text += fmt::format("static const char {}_name[] = {};\n", prefix, c_string(tensor.name));
    text += fmt::format("enum {{ {0}_rank = {1}, {0}_elements = {2} }};\n", prefix, rank,
                        element_count(tensor.shape));
    // C has no empty arrays.
    text += fmt::format("static const long long {}_shape[{}] = {{{}}};\n", prefix,
                        std::max<size_t>(rank, 1),
                        rank ? fmt::format("{}", fmt::join(tensor.shape, ", ")) : "1");
  };
  for (const DriverTensor& tensor : driver.inputs) add(tensor, "Input");
  for (const DriverTensor& tensor : driver.outputs) add(tensor, "Output");
  return text;
}

// joined(" , ", "const float *{}", "float *{}"): the inputs in the first form, then the outputs in
// the second.
std::string arguments(const Driver& driver, const char* input, const char* output) {
  std::vector<std::string> parts;
  for (const auto& t : driver.inputs)
    parts.push_back(fill(input, {{"ID", t.id}, {"N", driver.name}}));
  for (const auto& t : driver.outputs)
    parts.push_back(fill(output, {{"ID", t.id}, {"N", driver.name}}));
  return fmt::format("{}", fmt::join(parts, ", "));
}

}  // namespace

std::string driver_header(const Driver& driver) {
  return fill(
      k_header,
      {{"N", driver.name},
       {"VERSION", one_line(driver.version)},
       {"THREADS", std::to_string(driver.threads)},
       {"IN_HUGE_PAGES", copies_weights(driver)
                             ? "from a copy in huge pages, one for all\n"
                               "                        // contexts, where the system has them"
                             : "too"},
       {"WITHOUT_FILE", driver.weights_beside ? fmt::format("\"{}.weights\"", driver.name)
                                              : "the library's weights"},
       {"CONSTANTS", constants_text(driver)},
       {"EXAMPLE_DECLARATIONS",
        arguments(driver, "@ID@[@N@_@ID@_elements]", "@ID@[@N@_@ID@_elements]")},
       {"EXAMPLE_ARGUMENTS", arguments(driver, "@ID@", "@ID@")},
       {"PARAMETERS", arguments(driver, "const float *@ID@", "float *@ID@")},
       {"BUFFERS",
        arguments(driver, "struct halide_buffer_t *@ID@", "struct halide_buffer_t *@ID@")}});
}

}  // namespace emulsion
