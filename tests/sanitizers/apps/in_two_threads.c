// Calls an app's run(&wrong) in two threads and prints what each left in its `wrong`.
#include <pthread.h>
#include <stdio.h>

void* run(void* wrong);

int main(void) {
  pthread_t threads[2];
  int wrong[2] = {0, 0};
  for (int i = 0; i < 2; ++i) pthread_create(&threads[i], 0, run, &wrong[i]);
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], 0);
  printf("%d %d\n", wrong[0], wrong[1]);
  return 0;
}
