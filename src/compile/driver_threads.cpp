// The part of the generated driver that runs parallel loops. Halide's own pool puts its threads to
// sleep between two layers, which costs small layers more than they gain.
#include "compile/driver_template.h"

namespace emulsion {

const char* const k_driver_pool =
    R"C(// A parallel loop's iterations are shared by the caller and the context's own threads. These spin a little while
// before they sleep, since the next layer's loop follows within microseconds. Iterations are taken several at a
// time: many are shorter than it takes two processors to agree.
//
// `next` says which loop runs and which of its iterations is the next to be taken: (loop << 32) + iteration. An
// iteration is taken by advancing it, which fails once the loop has ended; so a thread that wakes late takes nothing.
struct pool {
  uint64_t next;
  halide_task_t task;
  void *user_context;
  uint8_t *closure;
  int min, size, chunk, done, code;
  int threads, started, sleeping, stop;
  pthread_t *handles;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
};
enum { k_closed = 0x7fffffff };
static _Thread_local int inside_loop;

static void relax(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

// Takes iterations of one loop until there are no more.
static void take_iterations(struct pool *p, uint64_t loop) {
  inside_loop = 1;
  for (;;) {
    uint64_t next = __atomic_load_n(&p->next, __ATOMIC_ACQUIRE);
    const int iteration = (int)(next & 0xffffffffu);
    const halide_task_t task = __atomic_load_n(&p->task, __ATOMIC_RELAXED);
    void *const user_context = __atomic_load_n(&p->user_context, __ATOMIC_RELAXED);
    uint8_t *const closure = __atomic_load_n(&p->closure, __ATOMIC_RELAXED);
    const int min = __atomic_load_n(&p->min, __ATOMIC_RELAXED);
    const int left = __atomic_load_n(&p->size, __ATOMIC_RELAXED) - iteration;
    const int chunk = __atomic_load_n(&p->chunk, __ATOMIC_RELAXED), taken = left < chunk ? left : chunk;
    if (next >> 32 != loop || taken <= 0) break;
    if (!__atomic_compare_exchange_n(&p->next, &next, next + (uint64_t)taken, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
      continue;
    }
    for (int i = 0; i < taken; ++i) {
      const int code = task(user_context, min + iteration + i, closure);
      if (code != 0) __atomic_store_n(&p->code, code, __ATOMIC_RELAXED);
    }
    __atomic_fetch_add(&p->done, taken, __ATOMIC_RELEASE);
  }
  inside_loop = 0;
}

static void *help(void *argument) {
  struct pool *const p = argument;
  const double patience = 2e-4;
  uint64_t seen = 0;
  double since = seconds();
  for (int turn = 1;; ++turn) {
    const uint64_t next = __atomic_load_n(&p->next, __ATOMIC_ACQUIRE);
    if (next >> 32 != seen && (next & 0xffffffffu) != k_closed) {
      seen = next >> 32;
      take_iterations(p, seen);
      since = seconds();
      continue;
    }
    if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) return 0;
    relax();
    if (turn % 64 != 0 || seconds() - since < patience) continue;
    pthread_mutex_lock(&p->mutex);
    __atomic_fetch_add(&p->sleeping, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&p->next, __ATOMIC_SEQ_CST) >> 32 == seen && !__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
      pthread_cond_wait(&p->wake, &p->mutex);
    }
    __atomic_fetch_sub(&p->sleeping, 1, __ATOMIC_SEQ_CST);
    pthread_mutex_unlock(&p->mutex);
    since = seconds();
  }
}

static void wake_sleepers(struct pool *p) {
  if (__atomic_load_n(&p->sleeping, __ATOMIC_SEQ_CST) == 0) return;
  pthread_mutex_lock(&p->mutex);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->mutex);
}

// Threads that cannot be started are done without.
static void start_threads(struct pool *p, int threads) {
  pthread_mutex_init(&p->mutex, 0);
  pthread_cond_init(&p->wake, 0);
  p->handles = threads > 1 ? calloc((size_t)threads - 1, sizeof *p->handles) : 0;
  while (p->handles && p->started < threads - 1 && pthread_create(&p->handles[p->started], 0, help, p) == 0) {
    ++p->started;
  }
}

static void stop_threads(struct pool *p) {
  __atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_lock(&p->mutex);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->mutex);
  for (int i = 0; i < p->started; ++i) pthread_join(p->handles[i], 0);
  free(p->handles);
  pthread_cond_destroy(&p->wake);
  pthread_mutex_destroy(&p->mutex);
}

)C";

const char* const k_driver_parallel_loop =
    R"C(// The runtime's handler. A loop inside a loop runs on its caller alone.
int halide_do_par_for(void *user_context, halide_task_t task, int min, int size, uint8_t *closure) {
  struct pool *const p = &((@N@_context *)user_context)->pool;
  if (p->started == 0 || size < 2 || inside_loop) {
    for (int i = min; i < min + size; ++i) {
      const int code = task(user_context, i, closure);
      if (code != 0) return code;
    }
    return 0;
  }
  const uint64_t loop = ((__atomic_load_n(&p->next, __ATOMIC_RELAXED) >> 32) + 1) & 0xffffffffu;
  __atomic_store_n(&p->next, loop << 32 | k_closed, __ATOMIC_SEQ_CST);
  __atomic_store_n(&p->task, task, __ATOMIC_RELAXED);
  __atomic_store_n(&p->user_context, user_context, __ATOMIC_RELAXED);
  __atomic_store_n(&p->closure, closure, __ATOMIC_RELAXED);
  __atomic_store_n(&p->min, min, __ATOMIC_RELAXED);
  __atomic_store_n(&p->size, size, __ATOMIC_RELAXED);
  const int chunks = 8 * (p->started + 1);
  __atomic_store_n(&p->chunk, size < chunks ? 1 : size / chunks, __ATOMIC_RELAXED);
  __atomic_store_n(&p->code, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&p->done, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&p->next, loop << 32, __ATOMIC_SEQ_CST);
  wake_sleepers(p);
  take_iterations(p, loop);
  for (int turn = 1; __atomic_load_n(&p->done, __ATOMIC_ACQUIRE) < size; ++turn) {
    if (turn % 1024 == 0) {
      sched_yield();  // the thread that has the last iteration may be waiting for this one's processor
    } else {
      relax();
    }
  }
  return __atomic_load_n(&p->code, __ATOMIC_RELAXED);
}

)C";

}  // namespace emulsion
