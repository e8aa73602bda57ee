#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_ns(clockid_t clock) {
  struct timespec time;
  clock_gettime(clock, &time);
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t peer_now(void) { return clock_ns(CLOCK_MONOTONIC); }

uint64_t peer_cpu(void) { return clock_ns(CLOCK_PROCESS_CPUTIME_ID); }

// Not ru_maxrss: that one keeps what the process was before its exec, a copy of whoever started it.
uint64_t peer_peak_memory(void) {
  char line[256];
  unsigned long kibibytes = 0;
  FILE *file = fopen("/proc/self/status", "r");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "VmHWM: %lu", &kibibytes) == 1) break;
  }
  fclose(file);
  return kibibytes * 1024u;
}

uint64_t peer_memory(void) {
  unsigned long size, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL) return 0;
  if (fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
  fclose(file);
  return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

int peer_place(int on_one_cpu) {
  static cpu_set_t all;
  if (CPU_COUNT(&all) == 0 && sched_getaffinity(0, sizeof all, &all) != 0) return errno;
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &all)) continue;
    CPU_SET(cpu, &one);
    break;
  }
  return sched_setaffinity(0, sizeof one, on_one_cpu ? &one : &all) == 0 ? 0 : errno;
}

int peer_cpu_number(void) { return sched_getcpu(); }

struct peer_semaphore {
  sem_t value;
};

peer_semaphore *peer_semaphore_create(void) {
  peer_semaphore *semaphore = must_allocate(sizeof *semaphore);
  sem_init(&semaphore->value, 0, 0);
  return semaphore;
}

void peer_semaphore_signal(peer_semaphore *semaphore) { sem_post(&semaphore->value); }

void peer_semaphore_wait(peer_semaphore *semaphore) {
  while (sem_wait(&semaphore->value) != 0 && errno == EINTR) {}
}

void peer_semaphore_destroy(peer_semaphore *semaphore) {
  sem_destroy(&semaphore->value);
  free(semaphore);
}

struct peer_thread {
  pthread_t thread;
  void (*run)(void *context);
  void *context;
};

static void *thread_main(void *argument) {
  peer_thread *thread = argument;
  thread->run(thread->context);
  return NULL;
}

peer_thread *peer_thread_start(void (*run)(void *context), void *context) {
  peer_thread *thread = must_allocate(sizeof *thread);
  thread->run = run;
  thread->context = context;
  if (pthread_create(&thread->thread, NULL, thread_main, thread) != 0) exit(73);
  return thread;
}

void peer_thread_join(peer_thread *thread) {
  pthread_join(thread->thread, NULL);
  free(thread);
}

uint8_t *seen_create(size_t count) {
  uint8_t *seen = calloc(count, 1);
  if (seen == NULL) exit(71);
  return seen;
}

size_t seen_destroy(uint8_t *seen, size_t count) {
  size_t wrong = 0;
  for (size_t id = 0; id < count; id++) wrong += seen[id] != 1;
  free(seen);
  return wrong;
}

stopwatch stopwatch_start(void) { return (stopwatch){peer_now(), peer_cpu()}; }

peer_result stopwatch_stop(stopwatch watch) {
  return (peer_result){
      (double)(peer_now() - watch.wall) / 1e9, (double)(peer_cpu() - watch.cpu) / 1e9, 0};
}

void loop_destroy(uv_loop_t *loop) {
  uv_run(loop, UV_RUN_DEFAULT);
  MUST(uv_loop_close(loop));
}
