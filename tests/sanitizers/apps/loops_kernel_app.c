// Runs `net` (see loops_kernel.c) on a context with threads of its own. Counts the runs in which a
// loop went wrong.
#include "net.h"

void* run(void* wrong) {
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
