// What Swift's importer cannot see, and the only place that tests libuv's version.
#ifndef CLIBUV_SHIM_H
#define CLIBUV_SHIM_H

#include <time.h>
#include <uv.h>

#if defined(__linux__)
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

// UV_VERSION_HEX is built from other macros, which Swift does not import.
static inline unsigned int clibuv_compiled_version(void) { return UV_VERSION_HEX; }

// A moment in nanoseconds as the C library wants it. Which module `struct timespec` belongs to depends on what else a
// build imports, and with it whether Swift code may name its members.
static inline struct timespec clibuv_timespec(int64_t nanoseconds) {
  struct timespec moment = {(time_t)(nanoseconds / 1000000000), (long)(nanoseconds % 1000000000)};
  return moment;
}

static inline int64_t clibuv_nanoseconds(struct timespec moment) {
  return (int64_t)moment.tv_sec * 1000000000 + (int64_t)moment.tv_nsec;
}

// Where the calling thread runs, or -1 where the system does not say. The declaration hides behind _GNU_SOURCE.
#if defined(__linux__)
extern int sched_getcpu(void);
static inline int clibuv_cpu(void) { return sched_getcpu(); }
#else
static inline int clibuv_cpu(void) { return -1; }
#endif

// Keeps the compiler from moving stores and loads across this place; the CPU may.
static inline void clibuv_compiler_fence(void) { __asm__ __volatile__("" ::: "memory"); }

// Makes each running thread of this process execute a full fence; false where the system cannot.
#if defined(__linux__) && defined(SYS_membarrier)
static inline _Bool clibuv_membarrier(void) {
  // The values of MEMBARRIER_CMD_PRIVATE_EXPEDITED and of the command that registers for it, from <linux/membarrier.h>,
  // which not every C library brings along.
  enum { expedited = 1 << 3, register_expedited = 1 << 4 };
  if (syscall(SYS_membarrier, expedited, 0, 0) == 0) return 1;
  return syscall(SYS_membarrier, register_expedited, 0, 0) == 0 && syscall(SYS_membarrier, expedited, 0, 0) == 0;
}
#else
static inline _Bool clibuv_membarrier(void) { return 0; }
#endif

static inline void clibuv_prefetch(const void *address) { __builtin_prefetch(address); }

// Tells the CPU that the thread waits for another one.
static inline void clibuv_pause(void) {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ __volatile__("isb" ::: "memory");
#endif
}

// The number under which the kernel, `ps -L`, gdb and perf know the calling thread. `gettid` hides
// behind _GNU_SOURCE and `syscall` is variadic, so neither is imported.
static inline uint64_t clibuv_kernel_thread_id(void) {
#if defined(__linux__)
  return (uint64_t)syscall(SYS_gettid);
#elif defined(__APPLE__)
  uint64_t id = 0;
  pthread_threadid_np(NULL, &id);
  return id;
#else
  return (uint64_t)(uintptr_t)pthread_self();
#endif
}

// The kernel's name of the calling thread. Linux keeps 15 bytes; `pthread_setname_np` too hides behind _GNU_SOURCE, and
// `prctl` is variadic.
static inline void clibuv_set_thread_name(const char *name) {
#if defined(__linux__)
  prctl(PR_SET_NAME, name, 0, 0, 0);
#elif defined(__APPLE__)
  pthread_setname_np(name);
#endif
}

// Writes at most `size` bytes with the terminating zero; `size` is at least 64.
static inline void clibuv_get_thread_name(char *name, size_t size) {
  name[0] = 0;
#if defined(__linux__)
  prctl(PR_GET_NAME, name, 0, 0, 0);
#elif defined(__APPLE__)
  pthread_getname_np(pthread_self(), name, size);
#endif
}

#endif
