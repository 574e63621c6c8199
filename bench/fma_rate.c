/* How many multiply-adds one core does: prints GFLOP/s over about the given number of seconds. The
   sums stay in registers, so that two processes slow each other down only where they share a core.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef float vec __attribute__((vector_size(32)));
enum { sums = 12, lanes = 8 };

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? atof(argv[1]) : 0.1;
  vec s[sums], a, b;
  for (int l = 0; l < lanes; ++l) {
    a[l] = 0.5f + 0.0001f * (float)argc;
    b[l] = 0.1f;
  }
  for (int k = 0; k < sums; ++k) s[k] = b * (float)k;
  long loops = 0;
  const double start = now();
  double end = start;
  while (end - start < seconds) {
    for (int i = 0; i < 100000; ++i) {
#pragma GCC unroll 12
      for (int k = 0; k < sums; ++k) s[k] = s[k] * a + b;
    }
    loops += 100000;
    end = now();
  }
  float total = 0;
  for (int k = 0; k < sums; ++k) {
    for (int l = 0; l < lanes; ++l) total += s[k][l];
  }
  fprintf(stderr, "%g\n", total);
  printf("%.3f\n", 2e-9 * (double)loops * sums * lanes / (end - start));
  return 0;
}
