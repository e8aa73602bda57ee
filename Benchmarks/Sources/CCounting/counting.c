#include "counting.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#if defined(__linux__)
#include <sys/epoll.h>
#endif
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint64_t allocations, writes, controls;

uint64_t counting_allocations(void) { return atomic_load(&allocations); }

uint64_t counting_writes(void) { return atomic_load(&writes); }

uint64_t counting_controls(void) { return atomic_load(&controls); }

#if defined(__GLIBC__)

int counting_works(void) { return 1; }

static void count(void) { atomic_fetch_add_explicit(&allocations, 1, memory_order_relaxed); }

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

void *malloc(size_t size) {
  count();
  return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
  count();
  return __libc_calloc(number, size);
}

void *realloc(void *block, size_t size) {
  count();
  return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
  count();
  return __libc_memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size) {
  count();
  void *memory = __libc_memalign(alignment, size);
  if (memory == NULL) return ENOMEM;
  *block = memory;
  return 0;
}

ssize_t write(int descriptor, const void *bytes, size_t size) {
  atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
  return syscall(SYS_write, descriptor, bytes, size);
}

int epoll_ctl(int set, int operation, int descriptor, struct epoll_event *event) {
  atomic_fetch_add_explicit(&controls, 1, memory_order_relaxed);
  return (int)syscall(SYS_epoll_ctl, set, operation, descriptor, event);
}

#else

int counting_works(void) { return 0; }

#endif
