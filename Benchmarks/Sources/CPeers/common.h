#ifndef UVLOOP_BENCHMARKS_COMMON_H
#define UVLOOP_BENCHMARKS_COMMON_H

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

#include "peers.h"

// A call of libuv that fails here would make every figure wrong.
#define MUST(call)                                                              \
  do {                                                                          \
    int status_ = (call);                                                       \
    if (status_ < 0) {                                                          \
      fprintf(stderr, "%s: %s\n", #call, uv_strerror(status_));                 \
      exit(70);                                                                 \
    }                                                                           \
  } while (0)

static inline void *must_allocate(size_t bytes) {
  void *memory = malloc(bytes);
  if (memory == NULL) exit(71);
  return memory;
}

// One byte for each callback, counted up when it runs.
uint8_t *seen_create(size_t count);
size_t seen_destroy(uint8_t *seen, size_t count);

typedef struct {
  uint64_t wall, cpu;
} stopwatch;

stopwatch stopwatch_start(void);
peer_result stopwatch_stop(stopwatch watch);

void loop_destroy(uv_loop_t *loop);


#endif
