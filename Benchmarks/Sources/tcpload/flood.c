// Datagrams that nobody answers, as fast as they can be sent. The kernel of one machine drops what its receiver has no
// room for, so what counts is how many arrive, what each costs, and which part of them is lost.
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
  answer_ms = 50,     // A question may be lost as well: it is asked again.
  sends_a_round = 64  // Between two looks at the clock.
};

// How many datagrams of more than a byte have come to the server: those that were sent before and not lost, since it
// takes them in their order.
static uint64_t ask_count(int socket) {
  uint64_t count, stale;
  for (int waited = 0; waited < patience_ms; waited += answer_ms) {
    if (send(socket, "?", 1, 0) != 1 && errno != EAGAIN && errno != ENOBUFS) FAIL("send: %s", strerror(errno));
    struct pollfd ready = {.fd = socket, .events = POLLIN};
    if (poll(&ready, 1, answer_ms) != 1) continue;
    if (recv(socket, &count, sizeof count, 0) != sizeof count) FAIL("the server's count has other bytes");
    // Of questions that were taken for lost.
    while (recv(socket, &stale, sizeof stale, MSG_DONTWAIT) == sizeof stale) {
      if (stale > count) count = stale;
    }
    return count;
  }
  FAIL("the server answers no more");
}

// Returns how many the kernel has taken.
static uint64_t flood_until(const load *load, const int *sockets, const void *bytes, uint64_t end) {
  uint64_t sent = 0;
  while (peer_now() < end) {
    for (size_t i = 0; i < sends_a_round; i++) {
      ssize_t status = send(sockets[i % load->connections], bytes, load->bytes, 0);
      if (status == (ssize_t)load->bytes) {
        sent++;
      } else if (errno != EAGAIN && errno != ENOBUFS) {
        FAIL("send: %s", strerror(errno));
      }
    }
  }
  return sent;
}

void run_flood(const load *load) {
  if (load->bytes < 2) FAIL("a datagram of one byte asks for the count");
  void *bytes = allocate(load->bytes);
  int *sockets = allocate(load->connections * sizeof *sockets), asking = dial_datagrams(load->server->address);
  for (size_t i = 0; i < load->connections; i++) {
    sockets[i] = dial_datagrams(load->server->address);
    set_blocking(sockets[i], false);
  }
  flood_until(load, sockets, bytes, peer_now() + warm_up(load));
  uint64_t before = ask_count(asking);
  interval began = interval_now(load);
  uint64_t sent = flood_until(load, sockets, bytes, began.wall + load->size);
  uint64_t received = ask_count(asking) - before;
  interval ended = interval_now(load);
  if (received > sent) FAIL("more datagrams arrived than were sent");
  interval_print(began, ended, (double)received, "ops/s");
  print_figure(".arrived", 100 * (double)received / (double)sent, "%");
  for (size_t i = 0; i < load->connections; i++) close(sockets[i]);
  close(asking);
}
