// Connections, and what is printed of them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "load.h"

int dial_with_room(const char *address, int receive_room) {
  union {
    struct sockaddr any;
    struct sockaddr_in tcp;
    struct sockaddr_un path;
  } to = {.any = {0}};
  bool is_path = strchr(address, '/') != NULL;
  socklen_t length = sizeof to.tcp;
  if (is_path) {
    to.path.sun_family = AF_UNIX;
    memcpy(to.path.sun_path, address, strlen(address) + 1);  // Both are 108 bytes.
    length = sizeof to.path;
  } else {
    to.tcp.sin_family = AF_INET;
    to.tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    to.tcp.sin_port = htons((uint16_t)atoi(address));
  }
  int result = socket(to.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
  if (result < 0) FAIL("socket: %s", strerror(errno));
  if (receive_room > 0) setsockopt(result, SOL_SOCKET, SO_RCVBUF, &receive_room, sizeof receive_room);
  if (connect(result, &to.any, length) != 0) FAIL("connect: %s", strerror(errno));
  if (!is_path) setsockopt(result, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  setsockopt(result, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
  struct timeval patience = {.tv_sec = patience_ms / 1000};
  setsockopt(result, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return result;
}

int dial_datagrams(const char *address) {
  int result = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (result < 0) FAIL("socket: %s", strerror(errno));
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)atoi(address))};
  if (connect(result, (struct sockaddr *)&to, sizeof to) != 0) FAIL("connect: %s", strerror(errno));
  struct timeval patience = {.tv_sec = patience_ms / 1000};
  setsockopt(result, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  return result;
}

int dial(const char *address) { return dial_with_room(address, 0); }

void set_blocking(int socket, bool blocking) {
  if (fcntl(socket, F_SETFL, blocking ? 0 : O_NONBLOCK) != 0) FAIL("fcntl: %s", strerror(errno));
}

void must_send(int socket, const void *bytes, size_t count) {
  ssize_t sent = send(socket, bytes, count, MSG_NOSIGNAL);
  if (sent < 0) FAIL("send: %s", strerror(errno));
  if ((size_t)sent != count) FAIL("a message must fit the socket's buffer");
}

void must_receive(int socket, const void *bytes, size_t count) {
  static char received[read_room];
  for (size_t got = 0; got < count;) {
    ssize_t more = recv(socket, received, count - got, 0);
    if (more < 0 && errno == EINTR) continue;
    if (more < 0) FAIL("recv: %s", strerror(errno));
    if (more == 0) FAIL("the server closed a connection");
    if (memcmp(received, (const char *)bytes + got, (size_t)more) != 0) FAIL("other bytes came back");
    got += (size_t)more;
  }
}

void expect_nothing_more(int socket) {
  char byte;
  ssize_t got = recv(socket, &byte, 1, MSG_DONTWAIT);
  if (got == 0) FAIL("the server closed a connection");
  if (got > 0) FAIL("more bytes came back than were sent");
  if (errno != EAGAIN) FAIL("recv: %s", strerror(errno));
}

void *allocate(size_t bytes) {
  void *memory = calloc(1, bytes);
  if (memory == NULL) exit(71);
  return memory;
}

void print_figure(const char *part, double value, const char *unit) { printf("%s\t%.6g\t%s\n", part, value, unit); }

static int compare_times(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

void print_latencies(uint64_t *times, size_t count) {
  qsort(times, count, sizeof *times, compare_times);
  print_figure(".p50", (double)times[count / 2] / 1e3, "us");
  print_figure(".p99", (double)times[count * 99 / 100] / 1e3, "us");
}

interval interval_now(const load *load) { return (interval){peer_now(), server_cpu(load->server)}; }

void interval_print(interval began, interval ended, double count, const char *unit) {
  if (count <= 0) FAIL("nothing came back in the time that was measured");
  print_figure("", count * 1e9 / (double)(ended.wall - began.wall), unit);
  print_figure(".cpu", (double)(ended.cpu - began.cpu) / 1e3 / count, "us");
}

uint64_t warm_up(const load *load) { return load->size / 3; }
