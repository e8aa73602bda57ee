// Starts a program again and again, and prints the medians of how long it took and of its peak memory:
//
//   startup-measure TIMES PROGRAM [ARGUMENT ...]
//
// A program of its own, since the kernel counts the memory of whoever starts a process as that process's, and this one
// has next to none.
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double now_ms(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

int main(int count, char *arguments[]) {
  int times = count >= 3 ? atoi(arguments[1]) : 0;
  if (times < 1) {
    fprintf(stderr, "usage: startup-measure TIMES PROGRAM [ARGUMENT ...]\n");
    return 64;
  }
  char **program = arguments + 2;
  double *took = malloc((size_t)times * sizeof *took), *memory = malloc((size_t)times * sizeof *memory);
  if (took == NULL || memory == NULL) return 71;
  // The first start may come from the disk, and does not count.
  for (int i = -1; i < times; i++) {
    pid_t child;
    int status;
    struct rusage usage;
    double began = now_ms();
    if (posix_spawn(&child, program[0], NULL, NULL, program, environ) != 0) {
      perror(program[0]);
      return 71;
    }
    if (wait4(child, &status, 0, &usage) != child || status != 0) {
      fprintf(stderr, "%s ended with status %d\n", program[0], status);
      return 70;
    }
    if (i < 0) continue;
    took[i] = now_ms() - began;
    memory[i] = (double)usage.ru_maxrss * 1024;
  }
  qsort(took, (size_t)times, sizeof *took, compare);
  qsort(memory, (size_t)times, sizeof *memory, compare);
  printf("\t%g\tms\n.memory\t%.0f\tB\n", took[times / 2], memory[times / 2]);
  return 0;
}
