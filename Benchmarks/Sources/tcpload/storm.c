// Connections that come, send a byte, have it back, and are reset, so many at a time.
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "load.h"

static void come(int epoll, size_t number, const load *load) {
  int socket = dial(load->server->address);
  char byte = (char)number;
  must_send(socket, &byte, 1);
  // The number of the descriptor, and what is to come back.
  struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)socket << 8 | (uint8_t)byte};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, socket, &event) != 0) FAIL("epoll_ctl: %s", strerror(errno));
}

static void storm(int epoll, size_t count, const load *load) {
  size_t came = 0, went = 0;
  while (went < count) {
    while (came < count && came - went < load->connections) come(epoll, came++, load);
    struct epoll_event ready[64];
    int some = epoll_wait(epoll, ready, 64, patience_ms);
    if (some < 0 && errno == EINTR) continue;
    if (some < 1) FAIL("the server answers no more");
    for (int i = 0; i < some; i++, went++) {
      int socket = (int)(ready[i].data.u64 >> 8);
      char byte = (char)ready[i].data.u64;
      must_receive(socket, &byte, 1);
      close(socket);
    }
  }
}

void run_storm(const load *load) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  size_t count = (size_t)load->size;
  storm(epoll, count / 10 + 1, load);
  interval began = interval_now(load);
  storm(epoll, count, load);
  uint64_t wall = peer_now();
  // The last ones have yet to go at the server's.
  usleep(100000);
  interval ended = {wall, server_cpu(load->server)};
  interval_print(began, ended, (double)count, "ops/s");
}
