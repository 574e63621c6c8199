// The part of the generated driver that runs parallel loops. Halide's own pool puts its threads to
// sleep between two layers, which costs small layers more than they gain.
#include "compile/driver_template.h"

namespace emulsion {

const char* const k_driver_pool =
    R"C(// A parallel loop's iterations are shared by the caller and the context's own threads. These spin a little while
// before they sleep, since the next layer's loop follows within microseconds.
//
// Each thread has a share of the loop: neighbouring iterations, the same part of every loop, so that it finds near what
// it left there, and the weights that an iteration prefetches for the next. Who has done its own takes from the ends of
// the others'. Iterations are taken in chunks: many are shorter than it takes two processors to agree.
struct share {
  // (loop << 32) + (first chunk << 16) + end; a thread that wakes late finds another loop's. There are fewer than 16
  // chunks a thread, and at most 256 threads.
  uint64_t left;
  char apart[120];
};
struct pool {
  struct share *shares;
  uint64_t loop;
  halide_task_t task;
  void *user_context;
  uint8_t *closure;
  int min, size, chunk, done, code;
  int started, sleeping, stop;
  struct helper {
    struct pool *pool;
    int number;
    pthread_t handle;
  } *helpers;
  pthread_mutex_t mutex;
  pthread_cond_t wake;
};
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

// The first chunk of a share, or the last; -1: there is none left of this loop.
static int take_chunk(struct share *share, uint64_t loop, int last) {
  uint64_t left = __atomic_load_n(&share->left, __ATOMIC_ACQUIRE);
  for (;;) {
    const int first = (int)(left >> 16 & 0xffff), end = (int)(left & 0xffff);
    if (left >> 32 != loop || first >= end) return -1;
    const uint64_t rest = last ? left - 1 : left + (1 << 16);
    if (__atomic_compare_exchange_n(&share->left, &left, rest, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
      return last ? end - 1 : first;
    }
  }
}

// Takes iterations of one loop until there are no more. The loop does not end, nor its description change, before
// those who took a chunk have said that they are done.
static void take_iterations(struct pool *p, int thread, uint64_t loop) {
  const int threads = p->started + 1;
  inside_loop = 1;
  for (int i = 0; i < threads; ++i) {
    struct share *const share = &p->shares[(thread + i) % threads];
    int done = 0;
    for (int taken; (taken = take_chunk(share, loop, i > 0)) >= 0; ++done) {
      const halide_task_t task = __atomic_load_n(&p->task, __ATOMIC_RELAXED);
      void *const user_context = __atomic_load_n(&p->user_context, __ATOMIC_RELAXED);
      uint8_t *const closure = __atomic_load_n(&p->closure, __ATOMIC_RELAXED);
      const int min = __atomic_load_n(&p->min, __ATOMIC_RELAXED), size = __atomic_load_n(&p->size, __ATOMIC_RELAXED);
      const int chunk = __atomic_load_n(&p->chunk, __ATOMIC_RELAXED), begin = taken * chunk;
      for (int k = begin; k < begin + chunk && k < size; ++k) {
        const int code = task(user_context, min + k, closure);
        if (code != 0) __atomic_store_n(&p->code, code, __ATOMIC_RELAXED);
      }
    }
    if (done) __atomic_fetch_add(&p->done, done, __ATOMIC_RELEASE);
  }
  inside_loop = 0;
}

static void *help(void *argument) {
  const struct helper *const self = argument;
  struct pool *const p = self->pool;
  const double patience = 2e-4;
  uint64_t seen = 0;
  double since = seconds();
  for (unsigned turn = 1;; ++turn) {
    const uint64_t loop = __atomic_load_n(&p->loop, __ATOMIC_ACQUIRE);
    if (loop != seen) {
      seen = loop;
      take_iterations(p, self->number, seen);
      since = seconds();
      continue;
    }
    if (__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) return 0;
    relax();
    if (turn % 64 != 0 || seconds() - since < patience) continue;
    pthread_mutex_lock(&p->mutex);
    __atomic_fetch_add(&p->sleeping, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&p->loop, __ATOMIC_SEQ_CST) == seen && !__atomic_load_n(&p->stop, __ATOMIC_ACQUIRE)) {
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
  if (threads < 2) return;
  p->shares = calloc((size_t)threads, sizeof *p->shares);
  p->helpers = calloc((size_t)threads - 1, sizeof *p->helpers);
  int started = 0;
  while (p->shares && p->helpers && started < threads - 1) {
    struct helper *const helper = &p->helpers[started];
    helper->pool = p;
    helper->number = started + 1;
    if (pthread_create(&helper->handle, 0, help, helper) != 0) break;
    ++started;
  }
  p->started = started;  // before the first loop, and read by helpers after it began
}

static void stop_threads(struct pool *p) {
  __atomic_store_n(&p->stop, 1, __ATOMIC_SEQ_CST);
  pthread_mutex_lock(&p->mutex);
  pthread_cond_broadcast(&p->wake);
  pthread_mutex_unlock(&p->mutex);
  for (int i = 0; i < p->started; ++i) pthread_join(p->helpers[i].handle, 0);
  free(p->helpers);
  free(p->shares);
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
  const int threads = p->started + 1;
  const int chunk = size < 8 * threads ? 1 : size / (8 * threads), chunks = (size + chunk - 1) / chunk;
  __atomic_store_n(&p->task, task, __ATOMIC_RELAXED);
  __atomic_store_n(&p->user_context, user_context, __ATOMIC_RELAXED);
  __atomic_store_n(&p->closure, closure, __ATOMIC_RELAXED);
  __atomic_store_n(&p->min, min, __ATOMIC_RELAXED);
  __atomic_store_n(&p->size, size, __ATOMIC_RELAXED);
  __atomic_store_n(&p->chunk, chunk, __ATOMIC_RELAXED);
  __atomic_store_n(&p->code, 0, __ATOMIC_RELAXED);
  __atomic_store_n(&p->done, 0, __ATOMIC_RELAXED);
  const uint64_t loop = (p->loop + 1) & 0xffffffffu;
  uint64_t first = 0;
  for (int i = 0; i < threads; ++i) {  // the caller, who begins at once, has the largest share
    const uint64_t end = ((uint64_t)chunks * (uint64_t)(i + 1) + (uint64_t)threads - 1) / (uint64_t)threads;
    __atomic_store_n(&p->shares[i].left, loop << 32 | first << 16 | end, __ATOMIC_RELEASE);
    first = end;
  }
  __atomic_store_n(&p->loop, loop, __ATOMIC_SEQ_CST);
  wake_sleepers(p);
  take_iterations(p, 0, loop);
  for (unsigned turn = 1; __atomic_load_n(&p->done, __ATOMIC_ACQUIRE) < chunks; ++turn) {
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
