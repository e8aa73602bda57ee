// The server that is measured, in a process of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "load.h"

// What a server exits with where it does not do the work.
static const int declined = 3;

static void become_server(char **command, const char *work, const char *argument, int output) {
  // It must not outlive a load that fails, whatever it is doing.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(output, STDOUT_FILENO);
  size_t count = 0;
  while (command[count] != NULL) count++;
  const char **all = allocate((count + 3) * sizeof *all);
  memcpy(all, command, count * sizeof *all);
  all[count] = work;
  all[count + 1] = argument;
  execvp(all[0], (char **)all);
  perror(all[0]);
  _exit(71);
}

// A server prints its port, or for a path anything, as soon as it listens.
static void read_address(server *server, const char *command, const char *path) {
  char line[64];
  size_t count = 0;
  while (count == 0 || line[count - 1] != '\n') {
    ssize_t got = count < sizeof line - 1 ? read(server->output, line + count, 1) : 0;
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      int status;
      waitpid(server->process, &status, 0);
      if (WIFEXITED(status) && WEXITSTATUS(status) == declined) exit(declined);
      FAIL("%s ended before it listened", command);
    }
    count += (size_t)got;
  }
  line[count - 1] = 0;
  snprintf(server->address, sizeof server->address, "%s", path != NULL ? path : line);
}

server server_start(char **command, const char *work, const char *argument) {
  server server = {0};
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) FAIL("pipe2: %s", strerror(errno));
  server.process = fork();
  if (server.process < 0) FAIL("fork: %s", strerror(errno));
  if (server.process == 0) become_server(command, work, argument, ends[1]);
  close(ends[1]);
  server.output = ends[0];
  bool has_path = argument != NULL && strchr(argument, '/') != NULL;
  read_address(&server, command[0], has_path ? argument : NULL);
  if (clock_getcpuclockid(server.process, &server.clock) != 0) FAIL("the server has no clock of CPU time");
  return server;
}

void server_end(server *server) {
  kill(server->process, SIGKILL);
  waitpid(server->process, NULL, 0);
  close(server->output);
}

uint64_t server_cpu(const server *server) {
  struct timespec time;
  if (clock_gettime(server->clock, &time) != 0) FAIL("the server has ended");
  return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

// Not of /proc/PID/status, whose count lags behind by 64 pages for each thread and CPU.
uint64_t server_memory(const server *server) {
  char line[256];
  unsigned long kibibytes = 0;
  snprintf(line, sizeof line, "/proc/%d/smaps_rollup", (int)server->process);
  FILE *file = fopen(line, "r");
  if (file == NULL) FAIL("%s: %s", line, strerror(errno));
  while (fgets(line, sizeof line, file) != NULL) {
    if (sscanf(line, "Rss: %lu", &kibibytes) == 1) break;
  }
  fclose(file);
  return kibibytes * 1024u;
}

size_t server_printed(const server *server, char *text, size_t room) {
  fcntl(server->output, F_SETFL, O_NONBLOCK);
  size_t count = 0;
  while (count < room - 1) {
    ssize_t got = read(server->output, text + count, room - 1 - count);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    count += (size_t)got;
  }
  text[count] = 0;
  return count;
}
