// What the kinds of load share: the server, which is a child of this process, the connections to it, and the bytes that
// they compare. One thread, one epoll.
#ifndef UVLOOP_BENCHMARKS_LOAD_H
#define UVLOOP_BENCHMARKS_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <time.h>

#include "peers.h"

// A load that cannot go on, or an answer with other bytes: none of its figures counts.
#define FAIL(...)                                                               \
  do {                                                                          \
    fprintf(stderr, "tcpload: " __VA_ARGS__);                                   \
    fputc('\n', stderr);                                                        \
    exit(70);                                                                   \
  } while (0)

enum {
  read_room = 256 * 1024,
  patience_ms = 10000,  // A server that answers nothing for so long has lost something.
};

// network.c

// Before the first socket, and before the server is started, which is then in it too.
void use_default_network(void);

// server.c

typedef struct {
  pid_t process;
  clockid_t clock;
  int output;         // What it prints, as it comes.
  char address[108];  // A port, or the path of a Unix socket.
} server;

typedef struct {
  const char *kind;  // As the command line names it.
  uint64_t size;     // Nanoseconds to measure for; of a storm how many connections.
  size_t connections;
  size_t bytes;  // In a message.
  server *server;
} load;

// Starts `command WORK [ARGUMENT]`, and returns when it listens.
server server_start(char **command, const char *work, const char *argument);
void server_end(server *server);

uint64_t server_cpu(const server *server);     // ns, of all its threads, those that have ended too
uint64_t server_memory(const server *server);  // resident now, bytes

// Reads what it has printed since it was last asked.
size_t server_printed(const server *server, char *text, size_t room);

// connection.c

// A blocking connection, which resets the other side when it is closed: nothing of a run is left behind in the kernel.
int dial(const char *address);
int dial_with_room(const char *address, int receive_room);
// A socket for datagrams to a port and from it.
int dial_datagrams(const char *address);
void set_blocking(int socket, bool blocking);
void must_send(int socket, const void *bytes, size_t count);
// Waits for all of it, and compares.
void must_receive(int socket, const void *bytes, size_t count);
// Fails if a byte is there, or the end.
void expect_nothing_more(int socket);

void *allocate(size_t bytes);  // zeroed

// One line a figure: `part<TAB>value<TAB>unit`.
void print_figure(const char *part, double value, const char *unit);
// The median and the ninety-ninth percentile, in us. Sorts the times, which are in ns.
void print_latencies(uint64_t *times, size_t count);

// A time measured, in the wall's and in the server's CPU.
typedef struct {
  uint64_t wall, cpu;
} interval;

interval interval_now(const load *load);
// As so many a second, and us of the server's CPU for each.
void interval_print(interval began, interval ended, double count, const char *unit);
// How long servers and caches have to get warm, before the time that is measured.
uint64_t warm_up(const load *load);

// The kinds of load: echo.c, flood.c, flow.c, idle.c, storm.c, slow.c.
void run_echo(const load *load);
void run_flood(const load *load);
void run_flow(const load *load);
void run_idle(const load *load);
void run_storm(const load *load);
void run_slow(const load *load);

#endif
