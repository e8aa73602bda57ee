// Lets threads lose their CPU where it hurts: around the calls of a mutex.
//
// Preloaded into a program, it replaces pthread_mutex_lock and pthread_mutex_unlock. One call in DELAYS_ONE_IN (64
// unless set, 0 for none) sleeps for up to 1.5 ms: before it asks for the lock, or after it has given it up. What a
// thread still touches after it has told others, under the lock, that they may go on, is then touched too late.
//
// A library that is preloaded, and not a hook in the package's own lock: so it works on what is shipped, in every kind
// of build, under the sanitizers too, and also delays the locks of libuv and of Swift's runtime.
//
//   clang -O1 -shared -fPIC delays.c -o delays.so && LD_PRELOAD=./delays.so program
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

typedef int mutex_call(pthread_mutex_t *);

static __thread uint32_t random_state;
static __thread int is_armed;
static atomic_int holding, released;

static uint32_t next_random(void) {
  if (random_state == 0) random_state = (uint32_t)(uintptr_t)&random_state ^ (uint32_t)clock() ^ 0x9e3779b9u;
  random_state ^= random_state << 13;
  random_state ^= random_state >> 17;
  random_state ^= random_state << 5;
  return random_state;
}

static void delay_at_random(void) {
  static atomic_int one_in = -1;
  if (one_in < 0) {
    const char *text = getenv("DELAYS_ONE_IN");
    one_in = text ? atoi(text) : 64;
  }
  if (one_in == 0 || next_random() % (uint32_t)one_in != 0) return;
  struct timespec span = {0, (long)(next_random() % 1500000u)};
  nanosleep(&span, NULL);
}

// Two threads may come here at once for the first time: both find the same address.
static mutex_call *real(_Atomic(mutex_call *) *known, const char *name) {
  mutex_call *call = *known;
  if (!call) *known = call = (mutex_call *)dlsym(RTLD_NEXT, name);
  return call;
}

int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static _Atomic(mutex_call *) known;
  delay_at_random();
  return real(&known, "pthread_mutex_lock")(mutex);
}

int pthread_mutex_unlock(pthread_mutex_t *mutex) {
  static _Atomic(mutex_call *) known;
  int status = real(&known, "pthread_mutex_unlock")(mutex);
  if (is_armed) {
    is_armed = 0;
    holding = 1;
    while (!released) sched_yield();
    holding = 0;
  }
  delay_at_random();
  return status;
}

// For a program that wants one delay at one place: the calling thread's next unlock returns after delays_release().
void delays_hold_next_unlock(void) { is_armed = 1; }
int delays_is_holding(void) { return holding; }
void delays_release(void) { released = 1; }
