// Runs the network `small` in two threads at once, again and again: on a context of its own each,
// which has two threads, and on the library's own context. Reads the image from stdin; prints the
// scores of each thread and way. Its layers are too small for loops that threads share: those are
// loops_kernel.c's.
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "small.h"

enum { k_runs = 20 };

static float image[small_image_1_elements];

struct work {
  pthread_t thread;
  int code, layers, errors;
  float in_context[small_scores_elements], on_default[small_scores_elements];
};

static void count_layer(void* user, int layer, const char* name, double seconds) {
  (void)layer, (void)name, (void)seconds;
  ++((struct work*)user)->layers;
}
static void count_error(void* user, const char* message) {
  (void)message;
  ++((struct work*)user)->errors;
}

static void* run(void* argument) {
  struct work* const w = argument;
  small_options options = {0};
  options.threads = 2;
  options.timing = count_layer;
  options.error = count_error;
  options.user = w;
  small_context* context = small_create(&options);
  if (!context) return 0;
  w->code = 0;
  for (int i = 0; i < k_runs && w->code == 0; ++i) {
    w->code = small_run_in(context, image, w->in_context);
    if (w->code == 0) w->code = small_run(image, w->on_default);
    // A refused run, so that its message is written while the other thread runs.
    if (small_run_in(context, 0, w->in_context) == 0) w->code = 1;
    if (!strstr(small_last_error(context), "input") || !strstr(small_last_error(0), "input")) {
      w->code = 2;
    }
  }
  small_destroy(context);
  return 0;
}

static void print(const char* way, int code, const float* scores) {
  printf("%s %d", way, code);
  for (int i = 0; i < small_scores_elements; ++i) printf(" %.9g", scores[i]);
  printf("\n");
}

int main(void) {
  static struct work works[2];
  if (fread(image, sizeof image, 1, stdin) != 1) return 1;
  for (int i = 0; i < 2; ++i) {
    works[i].code = -1;
    pthread_create(&works[i].thread, 0, run, &works[i]);
  }
  for (int i = 0; i < 2; ++i) {
    pthread_join(works[i].thread, 0);
    print("context", works[i].code, works[i].in_context);
    print("default", works[i].code, works[i].on_default);
    if (works[i].errors != k_runs || works[i].layers == 0) return 2;
  }
  return 0;
}
