// Connections that ask and wait for the answer: what an echo and an idle load have in common.
#ifndef UVLOOP_BENCHMARKS_ECHO_H
#define UVLOOP_BENCHMARKS_ECHO_H

#include "load.h"

typedef struct {
  int socket;
  size_t got;  // Of the answer.
  uint64_t serial, asked;
  char *question;
} client;

typedef struct {
  const load *load;
  int epoll;
  client *clients;
  size_t count;
  uint64_t *times;  // Of the answers that came in the time measured.
  size_t done, waiting;
} echo;

// Connects them one after the other, each with a first answer, so that no queue of the server's is ever full.
echo echo_open(const load *load, size_t count);
// Keeps all of them busy for the time of the load, behind a time to get warm, and waits for the last answers. Returns
// the beginning of the time measured; `ended` is its end.
interval echo_run(echo *echo, interval *ended);
void echo_close(echo *echo);

#endif
