// The load of all servers. It starts the server, which so runs alone in its process, and prints figures, a line each:
//
//   tcpload KIND SIZE CONNECTIONS BYTES SERVER [ARGUMENT ...]
//
//   echo, unix    CONNECTIONS each send a message of BYTES and wait for it, for SIZE ms; over a Unix socket
//   busy          the same, of a server that computes before each answer
//   proxy         the same through the server to another one, c-uv-try
//   bulk          CONNECTIONS send messages of BYTES, 16 of them on their way, and have them back, for SIZE ms
//   fair          the same, beside a timer of the server's: how late its latest tick is
//   lines         CONNECTIONS send lines of 80 bytes in packets of BYTES, and have each line back, for SIZE ms
//   idle          CONNECTIONS had a byte back and keep still: memory, and 50 others that send BYTES, for SIZE ms each
//   storm         SIZE connections come, have a byte back, and are reset, CONNECTIONS at a time
//   slow          CONNECTIONS each read BYTES a second of a MiB that the server sends, for SIZE ms
//   udp           as echo, with datagrams
//   flood         CONNECTIONS send datagrams of BYTES that nobody answers, as fast as they can, for SIZE ms: how many
//                 arrive in a second, and which part of them
//
// A server is called with what it is to do: its own arguments, then `echo`, `busy`, `unix PATH`, `proxy PORT`, `lines`,
// `fair` (prints how late each tick is, in us), `slow`, `udp` or `flood` (answers a datagram of one byte with the number
// of those that came before, eight bytes in the machine's order). It prints its port when it listens, and runs until it
// is killed; one that exits with 3 does not do this work, which then is this program's exit code too. All that comes back
// is compared: other bytes, or an error, end with 70 and no figures.
#define _GNU_SOURCE
#include <limits.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "load.h"

static const struct kind {
  const char *name, *work;
  void (*run)(const load *load);
} kinds[] = {
    {"echo", "echo", run_echo}, {"unix", "unix", run_echo},   {"proxy", "proxy", run_echo},
    {"busy", "busy", run_echo},
    {"bulk", "echo", run_flow}, {"fair", "fair", run_flow},   {"lines", "lines", run_flow},
    {"idle", "echo", run_idle}, {"storm", "echo", run_storm}, {"slow", "slow", run_slow},
    {"udp", "udp", run_echo},   {"flood", "flood", run_flood},
};

// In seconds; the longest run takes a tenth of it.
static const unsigned limit = 300;

static char socket_path[64];

static void remove_socket(void) { unlink(socket_path); }

static void raise_file_limit(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);  // Inherited by the server.
}

// What stands behind the proxy: a program beside this one.
static server start_target(void) {
  char path[PATH_MAX], *command[] = {path, "c-uv-try", NULL};
  ssize_t length = readlink("/proc/self/exe", path, sizeof path - sizeof "server-c");
  char *name = length > 0 ? memrchr(path, '/', (size_t)length) : NULL;
  if (name == NULL) FAIL("this program does not know where it is");
  strcpy(name + 1, "server-c");
  return server_start(command, "echo", NULL);
}

int main(int count, char *arguments[]) {
  const struct kind *kind = NULL;
  for (size_t i = 0; count >= 6 && i < sizeof kinds / sizeof *kinds; i++) {
    if (strcmp(arguments[1], kinds[i].name) == 0) kind = &kinds[i];
  }
  long size = count >= 6 ? atol(arguments[2]) : 0, connections = count >= 6 ? atol(arguments[3]) : 0;
  long bytes = count >= 6 ? atol(arguments[4]) : 0;
  if (kind == NULL || size < 1 || connections < 1 || bytes < 1 || bytes > read_room) {
    fprintf(stderr, "usage: tcpload KIND SIZE CONNECTIONS BYTES SERVER [ARGUMENT ...]\n");
    return 64;
  }
  raise_file_limit();
  use_default_network();
  alarm(limit);
  server target = {0};
  const char *argument = NULL;
  if (kind->run == run_echo && strcmp(kind->work, "unix") == 0) {
    snprintf(socket_path, sizeof socket_path, "/tmp/tcpload-%d.socket", (int)getpid());
    atexit(remove_socket);
    argument = socket_path;
  } else if (strcmp(kind->work, "proxy") == 0) {
    target = start_target();
    argument = target.address;
  }
  server server = server_start(arguments + 5, kind->work, argument);
  load load = {
      .kind = kind->name,
      .size = (uint64_t)size * (kind->run == run_storm ? 1u : 1000000u),
      .connections = (size_t)connections,
      .bytes = (size_t)bytes,
      .server = &server,
  };
  kind->run(&load);
  server_end(&server);
  if (target.process > 0) server_end(&target);
  return 0;
}
