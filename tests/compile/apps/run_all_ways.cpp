// Runs the network `small` through every entry of its interface. Reads the image from stdin, prints
// the scores of each way on a line of its own, and counts the allocations that runs make: there
// must be none.
#include <malloc.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "small.h"

static std::atomic<int> allocations{0};

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);

void* malloc(size_t n) {
  return ++allocations, __libc_malloc(n);
}
void* calloc(size_t n, size_t m) {
  return ++allocations, __libc_calloc(n, m);
}
void* realloc(void* p, size_t n) {
  return ++allocations, __libc_realloc(p, n);
}
void free(void* p) {
  if (p) ++allocations;
  __libc_free(p);
}
void* aligned_alloc(size_t a, size_t n) {
  return ++allocations, __libc_memalign(a, n);
}
void* memalign(size_t a, size_t n) {
  return ++allocations, __libc_memalign(a, n);
}
int posix_memalign(void** p, size_t a, size_t n) {
  ++allocations;
  *p = __libc_memalign(a, n);
  return *p ? 0 : 12;
}
}

// Halide's buffers, as an app without Halide sees them.
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
  const void* device_interface;
  uint8_t* host;
  uint64_t flags;
  halide_type_t type;
  int32_t dimensions;
  halide_dimension_t* dim;
  void* padding;
};

static float image[small_image_1_elements];

static void print(const char* way, int code, const float* scores) {
  std::printf("%s %d", way, code);
  for (int i = 0; i < small_scores_elements; ++i) std::printf(" %.9g", scores[i]);
  std::printf("\n");
}

static void runs_allocate_nothing(int threads) {
  float scores[small_scores_elements] = {};
  small_options options = {};
  options.threads = threads;
  const int before_create = allocations;
  small_context* context = small_create(&options);
  if (!context) std::exit(3);
  std::printf("creation allocates: %d\n", allocations > before_create);
  const int before = allocations;
  int code = 0;
  for (int i = 0; i < 20; ++i) code |= small_run_in(context, image, scores);
  const int made = allocations - before;
  print(threads == 1 ? "run_in" : "run_in_threads", code, scores);
  std::printf("allocations %d\n", made);
  small_destroy(context);
}

static void two_contexts_at_once() {
  float scores[2][small_scores_elements] = {};
  int codes[2] = {};
  const auto work = [&](int which) {
    small_options options = {};
    options.threads = 1 + which;
    small_context* context = small_create(&options);
    for (int i = 0; i < 500; ++i) {
      std::memset(scores[which], 0, sizeof scores[which]);
      codes[which] |= small_run_in(context, image, scores[which]);
    }
    small_destroy(context);
  };
  std::thread other(work, 1);
  work(0);
  other.join();
  print("context_one", codes[0], scores[0]);
  print("context_two", codes[1], scores[1]);
}

static void default_context() {
  float scores[small_scores_elements] = {};
  int code = small_run(image, scores);
  print("run", code, scores);
  const int before = allocations;
  code = small_run(image, scores);
  std::printf("allocations %d\n", allocations - before);
}

static void own_workspace() {
  float scores[small_scores_elements] = {};
  std::vector<char> memory(small_workspace_bytes() + 64);
  small_options options = {};
  options.workspace = memory.data() + (64 - reinterpret_cast<uintptr_t>(memory.data()) % 64);
  std::memset(options.workspace, 0xff, small_workspace_bytes());  // NaNs
  small_context* context = small_create(&options);
  const int code = small_run_in(context, image, scores);
  print("own_workspace", code, scores);
  small_destroy(context);
}

static void halide_buffers() {
  float scores[small_scores_elements] = {};
  halide_dimension_t in_dim[4] = {{0, 8, 1, 0}, {0, 8, 8, 0}, {0, 3, 64, 0}, {0, 1, 192, 0}};
  halide_dimension_t out_dim[2] = {{0, 5, 1, 0}, {0, 1, 5, 0}};
  halide_buffer_t in = {}, out = {};
  in.host = reinterpret_cast<uint8_t*>(image);
  out.host = reinterpret_cast<uint8_t*>(scores);
  in.type = out.type = {2, 32, 1};
  in.dimensions = 4;
  out.dimensions = 2;
  in.dim = in_dim;
  out.dim = out_dim;
  int code = small(&in, &out);
  print("buffers", code, scores);
  void* arguments[] = {&in, &out};
  std::memset(scores, 0, sizeof scores);
  code = small_argv(arguments);
  print("argv", code, scores);

  const auto refused = [&](const char* what) {
    code = small(&in, &out);
    std::printf("refused %s: %d %s\n", what, code, small_last_error(nullptr));
  };
  in_dim[0].extent = 7;
  refused("extent");
  in_dim[0].extent = 8;
  in_dim[1].stride = 16;
  refused("stride");
  in_dim[1].stride = 8;
  in.type.bits = 64;
  refused("type");
  in.type.bits = 32;
  in.dimensions = 3;
  refused("rank");
  in.dimensions = 4;
  code = small(nullptr, &out);
  std::printf("refused null: %d %s\n", code, small_last_error(nullptr));

  in.host = nullptr;
  std::memset(in_dim, 0, sizeof in_dim);
  code = small(&in, &out);
  std::printf("bounds %d: %d %d %d %d\n", code, in_dim[0].extent, in_dim[1].extent,
              in_dim[2].extent, in_dim[3].extent);
}

static void errors() {
  const auto heard = [](void* user, const char* message) {
    std::printf("%s heard: %s\n", static_cast<char*>(user), message);
  };
  char user[] = "app";
  small_options options = {};
  options.error = heard;
  options.user = user;
  options.threads = -1;
  std::printf("refused threads: %d\n", small_create(&options) == nullptr);
  options.threads = 0;
  options.weights = image + 1;
  std::printf("refused weights: %d\n", small_create(&options) == nullptr);
  options.weights = nullptr;
  small_context* context = small_create(&options);
  float scores[small_scores_elements];
  int code = small_run_in(context, nullptr, scores);
  std::printf("refused pointer: %d %s\n", code, small_last_error(context));
  code = small_run_in(nullptr, image, scores);
  std::printf("refused context: %d %s\n", code, small_last_error(nullptr));
  code = small_run_in(context, image, scores);
  print("after_errors", code, scores);
  small_destroy(context);
}

static void timing() {
  struct Heard {
    int calls = 0;
    double seconds = 0;
    char last[64] = "";
  } heard;
  small_options options = {};
  options.user = &heard;
  options.timing = [](void* user, int layer, const char* name, double seconds) {
    Heard* h = static_cast<Heard*>(user);
    if (layer == h->calls) ++h->calls;
    h->seconds += seconds;
    std::snprintf(h->last, sizeof h->last, "%s", name);
  };
  small_context* context = small_create(&options);
  float scores[small_scores_elements];
  small_run_in(context, image, scores);
  std::printf("timed %d calls, last %s, %s\n", heard.calls, heard.last,
              heard.seconds > 0 ? "some time" : "no time");
  small_destroy(context);
}

int main() {
  if (std::fread(image, sizeof(float), small_image_1_elements, stdin) != small_image_1_elements)
    return 2;
  std::printf("warm\n");  // stdout has its buffer now
  runs_allocate_nothing(1);
  runs_allocate_nothing(2);
  two_contexts_at_once();
  default_context();
  own_workspace();
  halide_buffers();
  errors();
  timing();
  std::printf("name %s, version %s\n", small_image_1_name, small_version());
}
