// Counts what this process asks the system for: blocks of memory, and writes, which is how a loop is woken.
//
// Linked into a program, these definitions stand in front of the C library's for everything in the process, Swift's
// runtime and libuv included.
#ifndef UVLOOP_BENCHMARKS_COUNTING_H
#define UVLOOP_BENCHMARKS_COUNTING_H

#include <stdint.h>

uint64_t counting_allocations(void);
uint64_t counting_writes(void);
// Changes of what the kernel watches.
uint64_t counting_controls(void);

// Where there is nothing to count with, as on other systems than glibc's.
int counting_works(void);

#endif
