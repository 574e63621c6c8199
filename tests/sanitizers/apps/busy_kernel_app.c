// Runs `net` (see busy_kernel.c) on two contexts in two threads, every second time so that it
// fails.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "net.h"

static void* run(void* wrong) {
  net_context* const context = net_create(0);
  for (int i = 0; i < 20; ++i) {
    const int fails = i % 2;
    const float in[2] = {fails ? -1 : 1, fails ? -2 : 2};
    float out[2] = {0, 0};
    const int code = net_run_in(context, in, out);
    if ((code != 0) != fails || out[0] != 2 * in[0] || out[1] != 2 * in[1]) *(int*)wrong = 1;
    if (fails && strcmp(net_last_error(context), "negative") != 0) *(int*)wrong = 2;
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
