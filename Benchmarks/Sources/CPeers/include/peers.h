// The same work done in C on raw libuv: what UVLoop is measured against. One file a workload.
//
// Every function runs its workload once, in the calling process, and says how long it took and how many of its callbacks
// did not run exactly once; any but 0 there makes the figures worthless. Those that fill `times` put the nanoseconds of
// each operation there, and return that number.
#ifndef UVLOOP_BENCHMARKS_PEERS_H
#define UVLOOP_BENCHMARKS_PEERS_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
  double seconds;      // of wall time
  double cpu_seconds;  // of the whole process
  size_t wrong;        // callbacks that did not run exactly once
} peer_result;

uint64_t peer_now(void);  // CLOCK_MONOTONIC, ns
uint64_t peer_cpu(void);  // of the process, ns
uint64_t peer_memory(void);       // resident now, bytes
uint64_t peer_peak_memory(void);  // bytes

// The calling thread, and what it starts from now on, stays on the first CPU that it may use; or goes back to all of them.
// 0, or an errno.
int peer_place(int on_one_cpu);

int peer_cpu_number(void);  // where the calling thread runs

// What all peers block on.
typedef struct peer_semaphore peer_semaphore;
peer_semaphore *peer_semaphore_create(void);
void peer_semaphore_signal(peer_semaphore *semaphore);
void peer_semaphore_wait(peer_semaphore *semaphore);
void peer_semaphore_destroy(peer_semaphore *semaphore);

// Runs a function on a new thread of the system; join waits for its end.
typedef struct peer_thread peer_thread;
peer_thread *peer_thread_start(void (*run)(void *context), void *context);
void peer_thread_join(peer_thread *thread);

// xorshift64*: the same numbers for every peer.
static inline uint64_t peer_random(uint64_t *state) {
  uint64_t x = *state;
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  *state = x;
  return x * UINT64_C(2685821657736338717);
}

// post.c
peer_result peer_post_mutex(size_t count, size_t producers);
peer_result peer_post_array(size_t count, size_t producers);
peer_result peer_post_eventfd(size_t count, size_t producers);

// selfpost.c
peer_result peer_selfpost_drain(size_t count);
peer_result peer_selfpost_tick(size_t count);

// roundtrip.c
size_t peer_roundtrip_mutex(size_t count, uint64_t *times);
size_t peer_roundtrip_eventfd(size_t count, uint64_t *times);
size_t peer_roundtrip_spin(size_t count, uint64_t *times);
size_t peer_hop(size_t count, uint64_t *times);

// timers.c
typedef struct {
  peer_result result;
  double early_max;  // ms
  double late_p99;   // ms
  double late_max;   // ms
  double bytes;      // per timer
} peer_lateness;

peer_result peer_churn_close(size_t count, size_t pending);
peer_result peer_churn_reuse(size_t count, size_t pending);
peer_result peer_churn_heap(size_t count, size_t pending);
peer_lateness peer_oneshots(size_t count, unsigned within_ms);
peer_lateness peer_oneshots_heap(size_t count, unsigned within_ms);

// offload.c
peer_result peer_offload(size_t count, size_t in_flight);
size_t peer_offload_latency(size_t count, uint64_t *times);

// handles.c
peer_result peer_open_timers(size_t count, size_t open);
peer_result peer_open_asyncs(size_t count, size_t open);
peer_result peer_sends(size_t count, size_t open);
peer_result peer_lives(size_t count, size_t at_once);

#endif
