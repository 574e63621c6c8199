#include "compile/driver_template.h"

namespace emulsion {

const char* const k_driver_prelude =
    R"C(// @N@: the driver of a compiled network. Written by `emulsion compile`; @N@.h says how to use it.
// @VERSION@
//
// A context holds a buffer for every tensor that a kernel reads or writes; a run is one call a layer, in order.
// Every tensor has its place in the workspace; zeroed rims around images are made once, with the context.
// Compile in the folder of @COMPILED_IN@: cc -c @N@.c
#define _DEFAULT_SOURCE  // madvise
#define _POSIX_C_SOURCE 200809L
#include "@N@.h"

#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

// Halide's interface: the parts of HalideRuntime.h (Halide 21) that are used here.
struct halide_type_t {
  uint8_t code, bits;
  uint16_t lanes;
};
struct halide_dimension_t {
  int32_t min, extent, stride;
  uint32_t flags;
};
struct halide_buffer_t {
  uint64_t device;
  const void *device_interface;
  uint8_t *host;
  uint64_t flags;
  struct halide_type_t type;
  int32_t dimensions;
  struct halide_dimension_t *dim;
  void *padding;
};
struct halide_filter_argument_t {
  const char *name;
  int32_t kind, dimensions;
  struct halide_type_t type;
  const void *scalar_def, *scalar_min, *scalar_max, *scalar_estimate;
  const int64_t *const *buffer_estimates;
};
struct halide_filter_metadata_t {
  int32_t version, num_arguments;
  const struct halide_filter_argument_t *arguments;
  const char *target, *name;
};
typedef int (*halide_task_t)(void *user_context, int index, uint8_t *closure);
enum { k_host_dirty = 1, k_device_dirty = 2, k_input_buffer = 1, k_output_buffer = 2 };
static const struct halide_type_t k_float = {2, 32, 1};

typedef struct halide_buffer_t buffer;

)C";

const char* const k_driver_weights_inside =
    R"C(// The weights: packed as the kernels read them, each constant 64-byte aligned.
__asm__(
    ".pushsection .rodata.@N@_weights, \"a\"\n"
    ".balign 64\n"
    "@N@_weights:\n"
    ".incbin \"@N@.weights\"\n"
    ".byte 0\n"
    ".popsection\n");
extern const unsigned char @N@_weights[] __attribute__((visibility("hidden")));

)C";

const char* const k_driver_memory =
    R"C(// Memory for much that is streamed lies in huge pages where the system has them: with small ones the processor
// stops prefetching at each page's end.
static void *allocate(size_t bytes) {
  const size_t huge = (size_t)2 << 20;
  void *memory = 0;
  if (posix_memalign(&memory, bytes < huge ? 64 : huge, bytes) != 0) return 0;
#ifdef MADV_HUGEPAGE
  if (bytes >= huge) madvise(memory, bytes, MADV_HUGEPAGE);
#endif
  return memory;
}

)C";

// Only for weights that are worth huge pages.
const char* const k_driver_weights_copy =
    R"C(// One copy of the library's weights in such memory, shared by all contexts that use it.
static pthread_mutex_t weights_mutex = PTHREAD_MUTEX_INITIALIZER;
static void *weights_copy;
static int weights_users;

static const void *take_weights(@N@_context *context) {
  pthread_mutex_lock(&weights_mutex);
  if (!weights_copy && (weights_copy = allocate(@WEIGHTS_BYTES@))) {
    memcpy(weights_copy, @N@_weights, @WEIGHTS_BYTES@);
  }
  context->shares_weights = weights_copy != 0;
  weights_users += context->shares_weights;
  const void *const weights = weights_copy ? weights_copy : @N@_weights;
  pthread_mutex_unlock(&weights_mutex);
  return weights;
}

static void release_weights(@N@_context *context) {
  if (!context->shares_weights) return;
  pthread_mutex_lock(&weights_mutex);
  if (--weights_users == 0) {
    free(weights_copy);
    weights_copy = 0;
  }
  pthread_mutex_unlock(&weights_mutex);
}

)C";

const char* const k_driver_context = R"C(struct @N@_context {
  struct pool pool;
  buffer buffers[@BUFFER_COUNT@];
  @N@_options options;
  void *owned_workspace, *owned_weights;
@SHARES_WEIGHTS@  int failed;  // 1: an error is being written, 2: it is written; a second one is not
  char error[256];
@SCRATCH_MEMBER@};

static _Thread_local char thread_error[256];

// Records an error, the first of a run, for the context and this thread, and returns the code.
static int fail(@N@_context *context, int code, const char *message) {
  int state = 0;
  if (context && __atomic_compare_exchange_n(&context->failed, &state, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    snprintf(context->error, sizeof context->error, "%s", message);
    __atomic_store_n(&context->failed, 2, __ATOMIC_RELEASE);
    if (context->options.error) context->options.error(context->options.user, message);
  } else if (state == 2) {
    message = context->error;
  }
  snprintf(thread_error, sizeof thread_error, "%s", message);
  return code;
}

// The runtime's handlers, for kernels and runtime alike: their user_context is a context of ours.
void halide_error(void *user_context, const char *message) { fail(user_context, -1, message); }
void halide_print(void *user_context, const char *message) { fail(user_context, -1, message); }

)C";

// Only for kernels with scratch that does not fit on the stack.
const char* const k_driver_scratch_member = R"C(  pthread_mutex_t scratch_mutex;
  struct {
    void *memory;
    size_t bytes;
    int busy;
  } scratch[64];
)C";
const char* const k_driver_scratch =
    R"C(// Kernels' scratch memory: blocks stay with the context, so that runs after the first find all they need.
void *halide_malloc(void *user_context, size_t bytes) {
  @N@_context *context = user_context;
  void *memory = 0;
  int fresh = -1;
  pthread_mutex_lock(&context->scratch_mutex);
  for (int i = 0; i < 64 && !memory; ++i) {
    if (!context->scratch[i].memory) {
      if (fresh < 0) fresh = i;
    } else if (!context->scratch[i].busy && context->scratch[i].bytes >= bytes) {
      context->scratch[i].busy = 1;
      memory = context->scratch[i].memory;
    }
  }
  // Some room at the end: vectors may read past it.
  if (!memory && fresh >= 0 && posix_memalign(&memory, 64, bytes + 256) == 0) {
    context->scratch[fresh].memory = memory;
    context->scratch[fresh].bytes = bytes;
    context->scratch[fresh].busy = 1;
  }
  pthread_mutex_unlock(&context->scratch_mutex);
  if (!memory) fail(context, -11, "@N@: out of memory");
  return memory;
}
void halide_free(void *user_context, void *memory) {
  @N@_context *context = user_context;
  pthread_mutex_lock(&context->scratch_mutex);
  for (int i = 0; i < 64; ++i) {
    if (context->scratch[i].memory == memory) context->scratch[i].busy = 0;
  }
  pthread_mutex_unlock(&context->scratch_mutex);
}

)C";

const char* const k_driver_create =
    R"C(static const char *missing_cpu_feature(void) {
@CPU_FEATURES@  return 0;
}

// The content of a weights file; 0: thread_error says why not.
static void *read_weights(const char *path) {
  FILE *const file = fopen(path, "rb");
  void *const weights = file ? allocate(@WEIGHTS_BYTES@ + 64) : 0;
  const char *wrong = 0;
  if (!file) {
    wrong = "cannot be opened";
  } else if (!weights) {
    wrong = "does not fit into memory";
  } else if (fread(weights, 1, @WEIGHTS_BYTES@, file) != @WEIGHTS_BYTES@ || fgetc(file) != EOF) {
    wrong = "has not the @WEIGHTS_BYTES@ bytes of this network's weights";
  }
  if (file) fclose(file);
  if (!wrong) return weights;
  free(weights);
  snprintf(thread_error, sizeof thread_error, "@N@: %s %s", path, wrong);
  return 0;
}

@N@_context *@N@_create(const @N@_options *given) {
  static const @N@_options defaults;
  @N@_options options = given ? *given : defaults;
  const char *wrong = 0;
  const char *const missing = missing_cpu_feature();
  const char *const file = @WEIGHTS_FILE@;
  void *weights = 0;
  if (options.threads == 0) options.threads = @THREADS@;
  if (missing) {
    snprintf(thread_error, sizeof thread_error,
             "@N@: this processor has no %s; compile the network for another target", missing);
    wrong = thread_error;
  } else if (options.threads < 0 || options.threads > 256) {
    wrong = "@N@: options.threads must be 0 to 256";
  } else if (options.weights && options.weights_file) {
    wrong = "@N@: options.weights and options.weights_file are both given";
  } else if ((uintptr_t)options.weights % 64 != 0) {
    wrong = "@N@: options.weights must be 64-byte aligned";
  } else if ((uintptr_t)options.workspace % 64 != 0) {
    wrong = "@N@: options.workspace must be 64-byte aligned";
  } else if (!options.weights && file && !(weights = read_weights(file))) {
    wrong = thread_error;
  }
  @N@_context *context = 0;
  if (!wrong) {
    context = calloc(1, sizeof *context);
    if (context && !options.workspace && !(context->owned_workspace = allocate(@WORKSPACE_BYTES@ + 64))) {
      free(context);
      context = 0;
    }
    if (!context) wrong = "@N@: out of memory";
  }
  if (wrong) {
    free(weights);
    if (wrong != thread_error) fail(0, -1, wrong);
    if (options.error) options.error(options.user, wrong);
    return 0;
  }
  if (!options.workspace) options.workspace = context->owned_workspace;
  context->owned_weights = weights;
  if (!options.weights) options.weights = @TAKE_WEIGHTS@;
  context->options = options;
  memset(options.workspace, 0, @WORKSPACE_BYTES@);
@SCRATCH_CREATE@  for (int i = 0; i < @BUFFER_COUNT@; ++i) {
    buffer *const b = &context->buffers[i];
    const unsigned char *base = 0;  // inputs and outputs get theirs at each run
    if (k_buffers[i].where == k_in_workspace) base = options.workspace;
    if (k_buffers[i].where == k_in_weights) base = options.weights;
    b->host = base ? (uint8_t *)(uintptr_t)base + 4 * k_buffers[i].offset : 0;
    b->type = k_float;
    b->type.bits = k_buffers[i].bits;
    b->dimensions = k_buffers[i].rank;
    b->dim = &k_dimensions[k_buffers[i].first_dimension];
  }
  start_threads(&context->pool, options.threads);
  return context;
}

void @N@_destroy(@N@_context *context) {
  if (!context) return;
  stop_threads(&context->pool);
@SCRATCH_DESTROY@@RELEASE_WEIGHTS@  free(context->owned_weights);
  free(context->owned_workspace);
  free(context);
}

)C";

const char* const k_driver_run =
    R"C(static int layer_failed(@N@_context *context, int layer, int code) {
  char message[256];
  snprintf(message, sizeof message, "@N@: layer %d (%s) failed with code %d", layer, k_layers[layer], code);
  return fail(context, code, message);
}

// Runs one layer, timed when somebody wants to know.
#define LAYER(index, call)                                                                                  \
  do {                                                                                                      \
    const double start = c->options.timing ? seconds() : 0;                                                 \
    const int code = call;                                                                                  \
    if (code != 0) return layer_failed(c, index, code);                                                     \
    if (c->options.timing) c->options.timing(c->options.user, index, k_layers[index], seconds() - start);   \
  } while (0)

static int run_layers(@N@_context *c) {
  buffer *const b = c->buffers;
@CALLS@  return 0;
}

int @N@_run_arrays(@N@_context *context, const float *const *inputs, float *const *outputs) {
  if (!context) return fail(0, -1, "@N@: the context is 0");
  context->failed = 0;
  for (int i = 0; i < @N@_inputs; ++i) {
    if (!inputs[i]) return fail(context, -1, "@N@: an input is 0");
  }
  for (int i = 0; i < @N@_outputs; ++i) {
    if (!outputs[i]) return fail(context, -1, "@N@: an output is 0");
  }
  for (int i = 0; i < (int)(sizeof k_edges / sizeof k_edges[0]); ++i) {
    const int edge = k_edges[i];
    const float *const base = k_buffers[edge].where == k_in_input ? inputs[k_buffers[edge].index]
                                                                  : outputs[k_buffers[edge].index];
    context->buffers[edge].host = (uint8_t *)(uintptr_t)(base + k_buffers[edge].offset);
  }
  return run_layers(context);
}

int @N@_run_in(@N@_context *context, @PARAMETERS@) {
  const float *const all_inputs[] = {@INPUTS@};
  float *const all_outputs[] = {@OUTPUTS@};
  return @N@_run_arrays(context, all_inputs, all_outputs);
}

// Runs on the library's own context, made by the first call.
static int run_on_default(const float *const *inputs, float *const *outputs) {
  static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  static @N@_context *context;
  int code = -1;
  pthread_mutex_lock(&mutex);
  if (!context) context = @N@_create(0);
  if (context) code = @N@_run_arrays(context, inputs, outputs);
  pthread_mutex_unlock(&mutex);
  return code;
}

int @N@_run(@PARAMETERS@) {
  const float *const all_inputs[] = {@INPUTS@};
  float *const all_outputs[] = {@OUTPUTS@};
  return run_on_default(all_inputs, all_outputs);
}

)C";

const char* const k_driver_metadata =
    R"C(// The arguments as Halide sees them: dimensions innermost first.
@ESTIMATES@static const struct halide_filter_argument_t k_arguments[] = {
@ARGUMENTS@};
static const struct halide_filter_metadata_t k_metadata = {1, @ARGUMENT_COUNT@, k_arguments, "@TARGET@", "@N@"};
const struct halide_filter_metadata_t *@N@_metadata(void) { return &k_metadata; }

// Answers a question for bounds.
static void fill_bounds(int argument, buffer *b) {
  const struct halide_filter_argument_t *const a = &k_arguments[argument];
  b->type = k_float;
  for (int d = 0, stride = 1; d < a->dimensions; ++d) {
    const int extent = (int)*a->buffer_estimates[2 * d + 1];
    b->dim[d] = (struct halide_dimension_t){0, extent, stride, 0};
    stride *= extent;
  }
}

static int is_query(const buffer *b) { return !b->host && !b->device; }

static int check_buffer(int argument, const buffer *b) {
  const struct halide_filter_argument_t *const a = &k_arguments[argument];
  char message[256];
  if (!b) {
    snprintf(message, sizeof message, "@N@: buffer '%s' is 0", a->name);
    return fail(0, -12, message);
  }
  if (!is_query(b) && (b->type.code != k_float.code || b->type.bits != k_float.bits || b->type.lanes != 1)) {
    snprintf(message, sizeof message, "@N@: buffer '%s' does not hold 32-bit floats", a->name);
    return fail(0, -3, message);
  }
  if (b->dimensions != a->dimensions || (b->dimensions > 0 && !b->dim)) {
    snprintf(message, sizeof message, "@N@: buffer '%s' has %d dimensions, not %d", a->name, b->dimensions,
             a->dimensions);
    return fail(0, -43, message);
  }
  if (is_query(b)) return 0;
  if (!b->host || (a->kind == k_input_buffer && (b->flags & k_device_dirty))) {
    snprintf(message, sizeof message, "@N@: buffer '%s' is not in host memory", a->name);
    return fail(0, -34, message);
  }
  for (int d = 0, stride = 1; d < b->dimensions; ++d) {
    const int extent = (int)*a->buffer_estimates[2 * d + 1];
    if (b->dim[d].extent != extent) {
      snprintf(message, sizeof message, "@N@: dimension %d of buffer '%s' has extent %d, not %d", d, a->name,
               b->dim[d].extent, extent);
      return fail(0, -8, message);
    }
    if (extent != 1 && b->dim[d].stride != stride) {
      snprintf(message, sizeof message, "@N@: dimension %d of buffer '%s' has stride %d, not %d (dense)", d,
               a->name, b->dim[d].stride, stride);
      return fail(0, -8, message);
    }
    stride *= extent;
  }
  return 0;
}

int @N@_argv(void **arguments) {
  enum { count = @ARGUMENT_COUNT@ };
  const float *inputs[@N@_inputs + 1];
  float *outputs[@N@_outputs + 1];
  int queries = 0;
  for (int i = 0; i < count; ++i) {
    const int code = check_buffer(i, arguments[i]);
    if (code != 0) return code;
    queries += is_query(arguments[i]);
  }
  for (int i = 0; i < count; ++i) {
    buffer *const b = arguments[i];
    if (queries && is_query(b)) fill_bounds(i, b);
    if (i < @N@_inputs) {
      inputs[i] = (const float *)(const void *)b->host;
    } else {
      outputs[i - @N@_inputs] = (float *)(void *)b->host;
      if (!queries) b->flags |= k_host_dirty;
    }
  }
  return queries ? 0 : run_on_default(inputs, outputs);
}

int @N@(@BUFFERS@) {
  void *arguments[] = {@ALL@};
  return @N@_argv(arguments);
}

unsigned long long @N@_workspace_bytes(void) { return @WORKSPACE_BYTES@; }
const char *@N@_last_error(const @N@_context *context) { return context ? context->error : thread_error; }
const char *@N@_version(void) { return @VERSION_STRING@; }
)C";

const char* const k_driver_scratch_destroy =
    R"C(  for (int i = 0; i < 64; ++i) free(context->scratch[i].memory);
  pthread_mutex_destroy(&context->scratch_mutex);
)C";

}  // namespace emulsion
