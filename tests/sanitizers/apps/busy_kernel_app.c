// Runs `net` (see busy_kernel.c) on a context of its own, every second time so that it
// fails.
#include <string.h>

#include "net.h"

void* run(void* wrong) {
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
