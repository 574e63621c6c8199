/* Two compiled networks in one program, in C; each from its own thread, at once. */
#include <pthread.h>
#include <stdio.h>

#include "other.h"
#include "small.h"

static float image[small_image_1_elements];
static float scores[small_scores_elements], other_scores[other_scores_elements];
static int codes[2];

static void* run_other(void* unused) {
  other_options options = {0};
  options.threads = 2;
  other_context* context = other_create(&options);
  if (!context) return unused;
  for (int i = 0; i < 200; ++i) codes[1] |= other_run_in(context, image, other_scores);
  other_destroy(context);
  return unused;
}

int main(void) {
  small_options options = {0};
  pthread_t thread;
  if (fread(image, sizeof(float), small_image_1_elements, stdin) != small_image_1_elements)
    return 2;
  options.threads = 2;
  pthread_create(&thread, 0, run_other, 0);
  small_context* context = small_create(&options);
  if (!context) return 3;
  for (int i = 0; i < 200; ++i) codes[0] |= small_run_in(context, image, scores);
  pthread_join(thread, 0);
  small_destroy(context);
  printf("small %d", codes[0]);
  for (int i = 0; i < small_scores_elements; ++i) printf(" %.9g", scores[i]);
  printf("\nother %d", codes[1]);
  for (int i = 0; i < other_scores_elements; ++i) printf(" %.9g", other_scores[i]);
  printf("\n");
  return 0;
}
