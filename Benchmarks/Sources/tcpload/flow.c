// Connections that send without waiting for what comes back, with so much at most on its way: `bulk`, many of them
// beside a server's timer (`fair`), and lines that the server answers one by one (`lines`).
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "load.h"

enum {
  line_length = 80,  // With its end.
  lines_in_pattern = 811,
  bytes_in_pattern = 65521,
  messages_on_the_way = 16,
  packets_on_the_way = 4,
};

// What all connections send, each from another place on, again and again. Its length is a prime number of bytes or of
// lines, so that a block which is lost or comes twice moves what comes behind it.
typedef struct {
  char *bytes;  // The length of the pattern, and once more what a call may reach.
  size_t length, unit;
} pattern;

typedef struct {
  int socket;
  bool waits_for_room;
  size_t shift;
  uint64_t sent, got;
} flow;

typedef struct {
  const load *load;
  pattern pattern;
  size_t limit;  // On the way, bytes.
  int epoll;
  flow *flows;
  uint64_t got;
  bool is_over;
} flows;

static pattern pattern_create(bool of_lines) {
  pattern pattern = {.unit = of_lines ? line_length : 1};
  pattern.length = of_lines ? (size_t)lines_in_pattern * line_length : bytes_in_pattern;
  pattern.bytes = allocate(pattern.length + read_room);
  uint64_t random = 42;
  for (size_t i = 0; i < pattern.length; i++) {
    uint64_t drawn = peer_random(&random) >> 32;
    pattern.bytes[i] = (char)(of_lines ? 'a' + drawn % 26 : drawn);
    if (of_lines && i % line_length == line_length - 1) pattern.bytes[i] = '\n';
  }
  for (size_t i = 0; i < read_room; i++) pattern.bytes[pattern.length + i] = pattern.bytes[i % pattern.length];
  return pattern;
}

static const char *bytes_at(const flows *flows, const flow *flow, uint64_t offset) {
  return flows->pattern.bytes + (flow->shift + offset) % flows->pattern.length;
}

static void watch(flows *flows, flow *flow, int operation, bool for_room) {
  flow->waits_for_room = for_room;
  struct epoll_event event = {.events = EPOLLIN | (for_room ? (uint32_t)EPOLLOUT : 0), .data.ptr = flow};
  if (epoll_ctl(flows->epoll, operation, flow->socket, &event) != 0) FAIL("epoll_ctl: %s", strerror(errno));
}

static void send_more(flows *flows, flow *flow) {
  size_t piece = flows->load->bytes;
  bool has_room = true;
  while (has_room && !flows->is_over && flow->sent - flow->got + piece <= flows->limit) {
    ssize_t sent = send(flow->socket, bytes_at(flows, flow, flow->sent), piece, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN) FAIL("send: %s", strerror(errno));
    if (sent > 0) flow->sent += (uint64_t)sent;
    has_room = sent == (ssize_t)piece;
  }
  if (flow->waits_for_room == has_room) watch(flows, flow, EPOLL_CTL_MOD, !has_room);
}

static void receive(flows *flows, flow *flow) {
  static char received[read_room];
  ssize_t got = recv(flow->socket, received, sizeof received, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (got < 0) FAIL("recv: %s", strerror(errno));
  if (got == 0) FAIL("the server closed a connection");
  if (flow->got + (uint64_t)got > flow->sent) FAIL("more bytes came back than were sent");
  if (memcmp(received, bytes_at(flows, flow, flow->got), (size_t)got) != 0) FAIL("other bytes came back");
  flow->got += (uint64_t)got;
  flows->got += (uint64_t)got;
}

static flows flows_open(const load *load, bool of_lines) {
  flows flows = {.load = load, .pattern = pattern_create(of_lines), .epoll = epoll_create1(EPOLL_CLOEXEC)};
  flows.limit = (of_lines ? packets_on_the_way : messages_on_the_way) * load->bytes;
  flows.flows = allocate(load->connections * sizeof *flows.flows);
  for (size_t i = 0; i < load->connections; i++) {
    flow *flow = &flows.flows[i];
    flow->shift = i * 7 * flows.pattern.unit;
    flow->socket = dial(load->server->address);
    set_blocking(flow->socket, false);
    watch(&flows, flow, EPOLL_CTL_ADD, false);
  }
  return flows;
}

// Whether all that a server can answer has come back: the last line may have no end.
static bool has_all(const flows *flows, const flow *flow) {
  return flow->got == flow->sent / flows->pattern.unit * flows->pattern.unit;
}

static void wait_for_some(flows *flows) {
  struct epoll_event ready[128];
  int count = epoll_wait(flows->epoll, ready, 128, patience_ms);
  if (count < 0 && errno == EINTR) return;
  if (count < 1) FAIL("the server answers no more");
  for (int i = 0; i < count; i++) {
    flow *flow = ready[i].data.ptr;
    if (ready[i].events & ~(uint32_t)EPOLLOUT) receive(flows, flow);
    send_more(flows, flow);
  }
}

static void flows_close(flows *flows) {
  flows->is_over = true;
  for (size_t i = 0; i < flows->load->connections; i++) {
    flow *flow = &flows->flows[i];
    send_more(flows, flow);
    while (!has_all(flows, flow)) wait_for_some(flows);
    expect_nothing_more(flow->socket);
    close(flow->socket);
  }
}

// A fair server prints how late each of its ticks is, in us. Returns how late the latest one is.
static double latest_tick(const load *load) {
  static char text[1 << 16];
  server_printed(load->server, text, sizeof text);
  double latest = 0;
  int count = 0;
  char *rest;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest), count++) {
    double late = atof(line);
    if (late > latest) latest = late;
  }
  if (count == 0) FAIL("the server's timer has not ticked");
  return latest;
}

void run_flow(const load *load) {
  bool of_lines = strcmp(load->kind, "lines") == 0, beside_ticks = strcmp(load->kind, "fair") == 0;
  flows flows = flows_open(load, of_lines);
  for (size_t i = 0; i < load->connections; i++) send_more(&flows, &flows.flows[i]);
  uint64_t warm = peer_now() + warm_up(load);
  while (peer_now() < warm) wait_for_some(&flows);
  if (beside_ticks) {
    char ticks[1 << 12];
    while (server_printed(load->server, ticks, sizeof ticks) > 0) {}
  }
  uint64_t before = flows.got;
  interval began = interval_now(load), ended = began;
  while (ended.wall < began.wall + load->size) {
    wait_for_some(&flows);
    ended.wall = peer_now();
  }
  ended = interval_now(load);
  double bytes = (double)(flows.got - before), late = beside_ticks ? latest_tick(load) : 0;
  flows_close(&flows);
  if (beside_ticks) {
    print_figure("", late / 1e3, "ms");
    print_figure(".rate", bytes / 1048576 * 1e9 / (double)(ended.wall - began.wall), "MiB/s");
  } else if (of_lines) {
    interval_print(began, ended, bytes / line_length, "ops/s");
  } else {
    interval_print(began, ended, bytes / 1048576, "MiB/s");
  }
}
