// Runs `net` (see loops_kernel.c) on two contexts in two threads, each with threads of its own. Prints how
// many loops went wrong.
#include <pthread.h>
#include <stdio.h>

#include "net.h"

static void* run(void* wrong) {
  net_options options = {0};
  options.threads = 4;
  net_context* const context = net_create(&options);
  for (int i = 0; i < 20; ++i) {
    const float in[2] = {i % 2 ? -1 : 1, 0};
    float out[2] = {-1, 0};
    if (net_run_in(context, in, out) != 0 || out[0] != 0) ++*(int*)wrong;
  }
  net_destroy(context);
  return 0;
}

int main(void) {
  pthread_t threads[2];
  int wrong[2] = {0, 0};
  for (int i = 0; i < 2; ++i) pthread_create(&threads[i], 0, run, &wrong[i]);
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], 0);
  printf("%d %d\n", wrong[0], wrong[1]);
  return 0;
}
