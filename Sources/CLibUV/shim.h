// What Swift's importer cannot see, and the only place that tests libuv's version.
#ifndef CLIBUV_SHIM_H
#define CLIBUV_SHIM_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#if defined(__linux__)
#include <elf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#endif

// UV_VERSION_HEX is built from other macros, which Swift does not import.
static inline unsigned int clibuv_compiled_version(void) { return UV_VERSION_HEX; }

// Variadic, and so not imported. Before the loop runs.
static inline int clibuv_measure_idle_time(uv_loop_t *loop) { return uv_loop_configure(loop, UV_METRICS_IDLE_TIME); }

// `uv_close` of a `uv_poll_t` takes its descriptor's number out of the epoll set, also where the handle is stopped and the
// number has come to belong to another watcher. This makes it one that no descriptor has. The field is private to libuv,
// and the same from 1.44 to 1.52.
static inline void clibuv_forget_descriptor(uv_poll_t *handle) { handle->io_watcher.fd = INT_MAX; }

// A stream's descriptor was closed by somebody else, and its number may be another file's by now: libuv watches it no more,
// and does not close it with the stream. The fields are private to libuv, and the same from 1.44 to 1.52; its queues are two
// pointers in all of them, to the next and to the previous one.
typedef void *__attribute__((__may_alias__)) clibuv_link;

static inline void clibuv_unlink(clibuv_link *queue) {
  ((clibuv_link *)queue[1])[0] = queue[0];
  ((clibuv_link *)queue[0])[1] = queue[1];
  queue[0] = queue[1] = queue;
}

static inline void clibuv_leave_descriptor(uv_stream_t *stream) {
  uv_loop_t *loop = stream->loop;
  int descriptor = stream->io_watcher.fd;
  if (descriptor < 0) return;
  clibuv_unlink((clibuv_link *)&stream->io_watcher.watcher_queue);
  clibuv_unlink((clibuv_link *)&stream->io_watcher.pending_queue);
  if ((unsigned)descriptor < loop->nwatchers && loop->watchers[descriptor] == &stream->io_watcher) {
    loop->watchers[descriptor] = NULL;
    loop->nfds--;
  }
  stream->io_watcher.events = 0;
  stream->io_watcher.pevents = 0;
  stream->io_watcher.fd = -1;
}

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

// Takes a connection as a socket that is non-blocking and closed by an `exec`. Hides behind _GNU_SOURCE too.
#if defined(__linux__)
extern int clibuv_accept4(int, struct sockaddr *, socklen_t *, int) __asm__("accept4");
static inline int clibuv_accept(int listener, struct sockaddr *peer, socklen_t *size) {
  return clibuv_accept4(listener, peer, size, SOCK_CLOEXEC | SOCK_NONBLOCK);
}
#endif

// As many descriptors as one message of Linux can carry (SCM_MAX_FD).
enum { clibuv_most_descriptors = 253 };

// Reads what is there, with the descriptors that come beside it: their numbers go to `descriptors`, which has room for
// `clibuv_most_descriptors`, and are closed by an `exec`. `is_cut` says that some were dropped, as the process may have no
// more. Returns the number of bytes, 0 at the end, or a negative errno. The macros for control messages are not imported.
static inline ssize_t clibuv_receive(int socket, void *bytes, size_t size, int *descriptors, int *count, bool *is_cut) {
  // Whoever has set SO_PASSCRED on the socket gets more than descriptors.
  union {
    struct cmsghdr header;
    char room[CMSG_SPACE(clibuv_most_descriptors * sizeof(int)) + 256];
  } control;
  struct iovec part = {bytes, size};
  struct msghdr message = {0};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control;
  int flags = MSG_DONTWAIT;
#if defined(MSG_CMSG_CLOEXEC)
  flags |= MSG_CMSG_CLOEXEC;
#endif
  ssize_t received;
  do {
    received = recvmsg(socket, &message, flags);
  } while (received < 0 && errno == EINTR);
  *count = 0;
  *is_cut = false;
  if (received < 0) return -errno;
  *is_cut = (message.msg_flags & MSG_CTRUNC) != 0;
  for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header != NULL; header = CMSG_NXTHDR(&message, header)) {
#if defined(__linux__)
    // SCM_PIDFD: whoever has set SO_PASSPIDFD gets a descriptor with every message, which nobody here asks for.
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == 4) {
      int process;
      memcpy(&process, CMSG_DATA(header), sizeof process);
      if (process >= 0) close(process);
      continue;
    }
#endif
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
    int found = (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    if (found > clibuv_most_descriptors - *count) found = clibuv_most_descriptors - *count;
    memcpy(descriptors + *count, CMSG_DATA(header), (size_t)found * sizeof(int));
    *count += found;
  }
#if !defined(MSG_CMSG_CLOEXEC)
  for (int index = 0; index < *count; index++) fcntl(descriptors[index], F_SETFD, FD_CLOEXEC);
#endif
  return received;
}

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

// The calling thread's stack, from its lowest address to the one behind its highest. What tells it hides behind
// _GNU_SOURCE, and asks the kernel's table of maps where the thread is the main one.
#if defined(__linux__)
extern int clibuv_getattr(pthread_t, pthread_attr_t *) __asm__("pthread_getattr_np");
#endif
static inline bool clibuv_stack_bounds(uintptr_t *low, uintptr_t *high) {
#if defined(__APPLE__)
  *high = (uintptr_t)pthread_get_stackaddr_np(pthread_self());
  *low = *high - pthread_get_stacksize_np(pthread_self());
  return true;
#elif defined(__linux__)
  pthread_attr_t attributes;
  void *address = NULL;
  size_t size = 0;
  if (clibuv_getattr(pthread_self(), &attributes) != 0) return false;
  bool is_known = pthread_attr_getstack(&attributes, &address, &size) == 0;
  pthread_attr_destroy(&attributes);
  *low = (uintptr_t)address;
  *high = *low + size;
  return is_known;
#else
  return false;
#endif
}

// The frame pointer of the function that calls this one. `__builtin_frame_address` has no Swift name.
static inline __attribute__((always_inline)) uintptr_t clibuv_frame_pointer(void) {
  return (uintptr_t)__builtin_frame_address(0);
}

// A signal for one thread of this process. By the kernel's id, which may have ended: a `pthread_t` that has ended is
// memory that was given back.
static inline int clibuv_signal_thread(uint64_t kernel_id, uintptr_t thread, int signal) {
#if defined(__linux__)
  (void)thread;
  return syscall(SYS_tgkill, getpid(), (pid_t)kernel_id, signal) == 0 ? 0 : -errno;
#else
  (void)kernel_id;
  return -pthread_kill((pthread_t)thread, signal);
#endif
}

// The sheet on which a thread answers, in a signal handler, where it stands: its registers under their DWARF numbers,
// and a copy of its stack from the stack pointer up. `state` is the ticket of the ask, times four, plus how far it is:
// 0 withdrawn, 1 asked, 2 being written, 3 written. No ticket comes twice, so that a late answer finds none to take.
struct clibuv_sheet {
  uintptr_t state;
  uint64_t thread;
  uintptr_t low, high;
  uintptr_t registers[33];
  uintptr_t base;
  size_t count, capacity;
  uintptr_t *words;
};

// The one sheet of the process. `static` makes one for each Swift file that calls this: only `StackSheet.swift` does.
static inline __attribute__((returns_nonnull)) struct clibuv_sheet *clibuv_sheet(void) {
  static struct clibuv_sheet sheet;
  return &sheet;
}

// Sanitizers look away: they would take the gaps between another function's variables for errors, and have no business
// in a signal handler. `volatile` keeps the compiler from calling `memcpy`, which they watch too.
#define CLIBUV_UNWATCHED __attribute__((no_sanitize("address", "thread")))

// What the kernel says that the interrupted thread's registers hold; false where that is not known.
CLIBUV_UNWATCHED static inline bool clibuv_registers(const void *context, uintptr_t *registers, int *stack_pointer) {
#if defined(__linux__) && defined(__x86_64__)
  // Index `n` is where the kernel keeps the register with the DWARF number `n`.
  static const int place[17] = {13, 12, 14, 11, 9, 8, 10, 15, 0, 1, 2, 3, 4, 5, 6, 7, 16};
  const ucontext_t *interrupted = (const ucontext_t *)context;
  for (int number = 0; number < 17; number++) {
    registers[number] = (uintptr_t)interrupted->uc_mcontext.gregs[place[number]];
  }
  *stack_pointer = 7;
  return true;
#elif defined(__linux__) && defined(__aarch64__)
  const ucontext_t *interrupted = (const ucontext_t *)context;
  for (int number = 0; number < 31; number++) registers[number] = interrupted->uc_mcontext.regs[number];
  registers[31] = interrupted->uc_mcontext.sp;
  registers[32] = interrupted->uc_mcontext.pc;
  *stack_pointer = 31;
  return true;
#else
  return false;
#endif
}

static inline bool clibuv_knows_registers(void) {
#if defined(__linux__) && (defined(__x86_64__) || defined(__aarch64__))
  return true;
#else
  return false;
#endif
}

CLIBUV_UNWATCHED static inline void clibuv_answer(int signal, siginfo_t *info, void *context) {
  (void)signal;
  (void)info;
  int before = errno;
  struct clibuv_sheet *sheet = clibuv_sheet();
  uintptr_t asked = __atomic_load_n(&sheet->state, __ATOMIC_ACQUIRE);
  uint64_t thread = __atomic_load_n(&sheet->thread, __ATOMIC_RELAXED);
  if ((asked & 3) == 1 && thread == clibuv_kernel_thread_id() &&
      __atomic_compare_exchange_n(&sheet->state, &asked, asked + 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED)) {
    int stack_pointer = 0;
    sheet->count = 0;
    if (clibuv_registers(context, sheet->registers, &stack_pointer)) {
      uintptr_t base = sheet->registers[stack_pointer] & ~(uintptr_t)7;
      // On another stack, a signal stack for one, nobody knows where the memory ends.
      if (base >= sheet->low && base < sheet->high) {
        size_t count = (sheet->high - base) / sizeof(uintptr_t);
        if (count > sheet->capacity) count = sheet->capacity;
        const volatile uintptr_t *from = (const volatile uintptr_t *)base;
        volatile uintptr_t *to = sheet->words;
        for (size_t index = 0; index < count; index++) to[index] = from[index];
        sheet->count = count;
      }
      sheet->base = base;
    }
    __atomic_store_n(&sheet->state, asked + 2, __ATOMIC_RELEASE);
  }
  errno = before;
}

// Asks the thread; false while an earlier answer is still being written.
static inline bool clibuv_ask(uint64_t thread, uintptr_t low, uintptr_t high) {
  struct clibuv_sheet *sheet = clibuv_sheet();
  uintptr_t state = __atomic_load_n(&sheet->state, __ATOMIC_ACQUIRE);
  if ((state & 3) == 2) return false;
  __atomic_store_n(&sheet->thread, thread, __ATOMIC_RELAXED);
  sheet->low = low;
  sheet->high = high;
  __atomic_store_n(&sheet->state, (state | 3) + 2, __ATOMIC_RELEASE);
  return true;
}

static inline bool clibuv_is_answered(void) {
  return (__atomic_load_n(&clibuv_sheet()->state, __ATOMIC_ACQUIRE) & 3) == 3;
}

// Takes an ask back. One that is being answered stays until that has ended.
static inline void clibuv_withdraw(void) {
  struct clibuv_sheet *sheet = clibuv_sheet();
  uintptr_t asked = __atomic_load_n(&sheet->state, __ATOMIC_RELAXED);
  if ((asked & 3) != 1) return;
  __atomic_compare_exchange_n(&sheet->state, &asked, asked - 1, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

// Makes `clibuv_answer` the handler of the signal. SA_RESTART: calls that can go on afterwards do. SA_ONSTACK: a thread
// with a signal stack may have little room on its other one.
static inline int clibuv_answer_to(int signal) {
  struct sigaction action = {0};
  action.sa_sigaction = clibuv_answer;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  return sigaction(signal, &action, NULL) == 0 ? 0 : -errno;
}

static inline bool clibuv_is_answer(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == clibuv_answer;
}

static inline bool clibuv_answers_to(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && clibuv_is_answer(&action);
}

static inline int clibuv_ignore(int signal) {
  struct sigaction action = {0};
  action.sa_handler = SIG_IGN;
  return sigaction(signal, &action, NULL) == 0 ? 0 : -errno;
}

// Whether nobody in this process handles the signal.
static inline bool clibuv_is_unhandled(int signal) {
  struct sigaction action;
  return sigaction(signal, NULL, &action) == 0 && !(action.sa_flags & SA_SIGINFO) &&
         (action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN);
}

#if defined(__linux__) && defined(__LP64__)
// A part of the program in memory, as `dl_iterate_phdr` shows it. That and its type hide behind _GNU_SOURCE.
struct clibuv_image {
  uintptr_t bias;
  const char *path;
  const Elf64_Phdr *headers;
  uint16_t header_count;
};
extern int clibuv_each_image(int (*visit)(const struct clibuv_image *, size_t, void *), void *context)
    __asm__("dl_iterate_phdr");
#endif

// The Swift runtime's own, which have symbols and no declarations.
#ifdef __APPLE__
#define CLIBUV_SYMBOL(name) __asm__("_" name)
#else
#define CLIBUV_SYMBOL(name) __asm__(name)
#endif

extern char *clibuv_swift_demangle(const char *name, size_t length, char *buffer, size_t *size, uint32_t flags)
    CLIBUV_SYMBOL("swift_demangle");

// The Swift task that runs on this thread, or null. `withUnsafeCurrentTask` asks for it too, but retains it and calls a
// closure for it: 340 instructions instead of 20, at each wait.
extern const void *clibuv_current_task(void) __attribute__((swiftcall))
    CLIBUV_SYMBOL("swift_task_getCurrent");

// Whether a task, which is there, has been cancelled. `Task.isCancelled` is this behind the other.
extern _Bool clibuv_task_is_cancelled(const void *task) __attribute__((swiftcall))
    CLIBUV_SYMBOL("swift_task_isCancelled");

// Where `uv_tty_init` cannot open the terminal a second time it makes writes that turn and turn until the terminal has
// taken all, and reads that may wait. The flag (UV_HANDLE_BLOCKING_WRITES) is private to libuv, and the same from 1.44
// to 1.52.
static inline void clibuv_write_without_blocking(uv_tty_t *handle) { handle->flags &= ~0x00100000u; }

// Whether it is the other end of a pseudo-terminal, the one that a terminal's window has.
CLIBUV_UNWATCHED static inline bool clibuv_is_terminal_master(int descriptor) {
#if defined(TIOCGPTN)
  unsigned int number;
  return ioctl(descriptor, TIOCGPTN, &number) == 0;
#else
  return isatty(descriptor) && ptsname(descriptor) != NULL;
#endif
}

// Which terminal it is, whatever its name (`/dev/tty` is one for each), and for both ends of a pseudo-terminal; 0 where
// the system does not say.
static inline uint64_t clibuv_terminal_number(int descriptor) {
#if defined(TIOCGDEV)
  unsigned int device = 0;
  if (ioctl(descriptor, TIOCGDEV, &device) == 0 && device != 0) return device;
#endif
  struct stat status;
  return fstat(descriptor, &status) == 0 ? (uint64_t)status.st_rdev : 0;
}

// A terminal whose mode this process has changed, for a signal handler to find. They are never freed, only used again.
struct clibuv_terminal {
  struct clibuv_terminal *next;
  int descriptor;
  // Who has changed it; 0 while nobody has. The child of a fork finds its parent's.
  pid_t process;
  struct termios original;
};

struct clibuv_terminals {
  struct clibuv_terminal *first;
  // What was there before our handler, by the signal's number.
  struct sigaction before[65];
};

// Those of the process. `static` makes one for each Swift file that calls this: only `TerminalModes.swift` does.
static inline __attribute__((returns_nonnull)) struct clibuv_terminals *clibuv_terminals(void) {
  static struct clibuv_terminals terminals;
  return &terminals;
}

// Also a free one is found by a handler, and so its members are set before the last of these calls.
static inline struct clibuv_terminal *clibuv_change_terminal(int descriptor) {
  struct clibuv_terminals *all = clibuv_terminals();
  struct clibuv_terminal *entry = all->first;
  while (entry && __atomic_load_n(&entry->process, __ATOMIC_ACQUIRE) != 0) entry = entry->next;
  bool is_new = entry == NULL;
  if (is_new) {
    entry = (struct clibuv_terminal *)calloc(1, sizeof *entry);
    if (!entry) {
      errno = ENOMEM;
      return NULL;
    }
  }
  entry->descriptor = descriptor;
  int result;
  do result = tcgetattr(descriptor, &entry->original);
  while (result != 0 && errno == EINTR);
  int error = errno;
  if (result == 0) __atomic_store_n(&entry->process, getpid(), __ATOMIC_RELEASE);
  if (is_new) {
    entry->next = all->first;
    __atomic_store_n(&all->first, entry, __ATOMIC_RELEASE);
  }
  errno = error;
  return result == 0 ? entry : NULL;
}

// Whether a shell has taken the terminal back, or has never given it to this process. What is nobody's terminal has no
// foreground, and that of the window's end of a pseudo-terminal is another session's.
CLIBUV_UNWATCHED static inline bool clibuv_is_in_background(int descriptor) {
  pid_t foreground = tcgetpgrp(descriptor);
  return foreground > 0 && foreground != getpgrp() && !clibuv_is_terminal_master(descriptor);
}

// In the background it is left alone: the shell has set it as it wants it.
CLIBUV_UNWATCHED static inline void clibuv_restore_terminal(const struct clibuv_terminal *entry) {
  if (clibuv_is_in_background(entry->descriptor)) return;
  while (tcsetattr(entry->descriptor, TCSANOW, &entry->original) != 0 && errno == EINTR) {}
}

static inline void clibuv_forget_terminal(struct clibuv_terminal *entry) {
  __atomic_store_n(&entry->process, 0, __ATOMIC_RELEASE);
}

// At the end of the process, by `exit` or a signal. Calls nothing that a signal handler may not.
CLIBUV_UNWATCHED static inline void clibuv_restore_terminals(void) {
  pid_t process = getpid();
  struct clibuv_terminal *entry = __atomic_load_n(&clibuv_terminals()->first, __ATOMIC_ACQUIRE);
  for (; entry; entry = entry->next) {
    if (__atomic_load_n(&entry->process, __ATOMIC_ACQUIRE) == process) clibuv_restore_terminal(entry);
  }
}

// A handler: restores the terminals, and passes the signal on to what was there before. A fault comes again when its
// instruction does, which it has not if the signal was sent; behind a breakpoint the next instruction would run.
CLIBUV_UNWATCHED static inline void clibuv_restore_and_pass_on(int signal, siginfo_t *info, void *context) {
  (void)context;
  int before = errno;
  clibuv_restore_terminals();
  sigaction(signal, &clibuv_terminals()->before[signal], NULL);
  bool comes_again = info->si_code > 0 &&
                     (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL || signal == SIGFPE);
  if (!comes_again) raise(signal);
  errno = before;
}

static inline bool clibuv_restores_terminals(const struct sigaction *action) {
  return (action->sa_flags & SA_SIGINFO) && action->sa_sigaction == clibuv_restore_and_pass_on;
}

// What `dladdr` tells. It and its type hide behind _GNU_SOURCE.
struct clibuv_symbol {
  const char *file;
  void *image;
  const char *name;
  void *address;
};
extern int clibuv_dladdr(const void *address, struct clibuv_symbol *symbol) CLIBUV_SYMBOL("dladdr");

// Whether the handler is in the Swift runtime's library, where only its backtracer has some. Where the runtime is
// linked into the program nobody can tell.
static inline bool clibuv_is_backtracer(const struct sigaction *action) {
  struct clibuv_symbol handler, runtime, program;
  if (!(action->sa_flags & SA_SIGINFO)) return false;
  return clibuv_dladdr((const void *)action->sa_sigaction, &handler) &&
         clibuv_dladdr((const void *)clibuv_swift_demangle, &runtime) &&
         clibuv_dladdr((const void *)clibuv_restore_and_pass_on, &program) && handler.image == runtime.image &&
         program.image != runtime.image;
}

// Whether the process does with the signal what it does by itself, or lets Swift's runtime say why it crashes.
static inline bool clibuv_is_default(const struct sigaction *action) {
  return (!(action->sa_flags & SA_SIGINFO) && action->sa_handler == SIG_DFL) || clibuv_is_backtracer(action);
}

// What our handler for the signal is installed with, and what it puts back. All signals are blocked in it: the terminal
// of a process in the background would stop it.
static inline struct sigaction clibuv_guard(int signal, struct sigaction before) {
  clibuv_terminals()->before[signal] = before;
  struct sigaction action = {0};
  action.sa_sigaction = clibuv_restore_and_pass_on;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigfillset(&action.sa_mask);
  return action;
}

static inline struct sigaction clibuv_guarded(int signal) { return clibuv_terminals()->before[signal]; }

#endif
