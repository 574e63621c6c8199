// Reads an image from stdin and prints small's scores with the weights of a file: the one argument,
// or, without any, what small_create(0) takes.
#include <stdio.h>

#include "small.h"

int main(int argc, char** argv) {
  static float image[small_image_1_elements], scores[small_scores_elements];
  if (fread(image, sizeof image, 1, stdin) != 1) return 2;
  small_options options = {0};
  if (argc > 1) options.weights_file = argv[1];
  if (argc > 2) options.weights = image;
  small_context* context = small_create(argc > 1 ? &options : 0);
  if (!context) {
    printf("refused: %s\n", small_last_error(0));
    return 0;
  }
  printf("scores %d", small_run_in(context, image, scores));
  for (int i = 0; i < small_scores_elements; ++i) printf(" %.9g", scores[i]);
  printf("\n");
  small_destroy(context);
  return 0;
}
