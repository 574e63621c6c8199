// A kernel of the network `net` whose two threads take scratch memory at once, and fail at once
// when the input is negative: what Halide's pool does, with threads that a sanitizer can follow.
#include <pthread.h>
#include <stddef.h>

struct halide_buffer_t {
  unsigned long long device;
  const void* device_interface;
  float* host;
};
void* halide_malloc(void* user_context, size_t bytes);
void halide_free(void* user_context, void* memory);
void halide_error(void* user_context, const char* message);

struct task {
  void* context;
  const float* in;
  float* out;
};

static void* work(void* argument) {
  const struct task* const task = argument;
  for (int i = 1; i <= 50; ++i) {
    float* const scratch = halide_malloc(task->context, 1000 * (size_t)i);
    scratch[250 * i - 1] = 2 * *task->in;
    *task->out = scratch[250 * i - 1];
    halide_free(task->context, scratch);
  }
  if (*task->in < 0) halide_error(task->context, "negative");
  return 0;
}

int k_busy(void* context, struct halide_buffer_t* in, struct halide_buffer_t* out) {
  struct task tasks[2] = {{context, in->host, out->host}, {context, in->host + 1, out->host + 1}};
  pthread_t other;
  pthread_create(&other, 0, work, &tasks[1]);
  work(&tasks[0]);
  pthread_join(other, 0);
  return in->host[0] < 0 ? -1 : 0;
}
