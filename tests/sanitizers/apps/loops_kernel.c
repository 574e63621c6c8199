// A kernel of the network `net` that runs parallel loops of many sizes, and counts how often each
// iteration was run. A task writes its own counts alone, so that one that is run twice is a race.
#include <stdint.h>
#include <unistd.h>

struct halide_buffer_t {
  unsigned long long device;
  const void* device_interface;
  float* host;
};
typedef int (*halide_task_t)(void* user_context, int iteration, uint8_t* closure);
int halide_do_par_for(void* user_context, halide_task_t task, int min, int size, uint8_t* closure);

enum { k_min = -3, k_most = 5000, k_inner = 3 };

struct loop {
  int counts[k_most], inner[k_most], failing;
};

static int count_inner(void* context, int iteration, uint8_t* closure) {
  (void)context;
  __atomic_fetch_add((int*)closure, iteration, __ATOMIC_RELAXED);
  return 0;
}

static int count(void* context, int iteration, uint8_t* closure) {
  struct loop* const loop = (struct loop*)closure;
  const int i = iteration - k_min;
  ++loop->counts[i];
  // Within a loop of one iteration, which is none to the pool, this one is shared among threads.
  if (halide_do_par_for(context, count_inner, 1, k_inner, (uint8_t*)&loop->inner[i]) != 0)
    return -2;
  return iteration == loop->failing ? -1 : 0;
}

// The loops that went wrong.
int k_loops(void* context, struct halide_buffer_t* in, struct halide_buffer_t* out) {
  static const int k_sizes[] = {1, 2, 3, 4, 5, 31, 32, 33, 64, 1000, k_most};
  static _Thread_local struct loop loop;
  int wrong = 0;
  for (unsigned s = 0; s < sizeof k_sizes / sizeof *k_sizes; ++s) {
    const int size = k_sizes[s], fails = in->host[0] < 0;
    loop = (struct loop){.failing = fails ? k_min + size / 2 : k_min - 1};
    if (s % 3 == 0) usleep(500);  // so that the threads fall asleep
    const int code = halide_do_par_for(context, count, k_min, size, (uint8_t*)&loop);
    int right = code == -fails;
    for (int i = 0; i < size; ++i) right &= loop.counts[i] == 1 && loop.inner[i] == 1 + 2 + 3;
    for (int i = size; i < k_most; ++i) right &= loop.counts[i] == 0;
    wrong += !right;
  }
  out->host[0] = (float)wrong;
  return 0;
}
