// `c-uv-accept`: as `c-uv-try`, and accepts by itself.
#define _GNU_SOURCE
#include <errno.h>
#include <sys/socket.h>

#include "server.h"

// So many of a turn, so that those that are open get theirs.
enum { accepts_at_once = 64 };

static int listener;

static void on_readable(uv_poll_t *poll, int status, int events) {
  (void)events;
  MUST(status);
  for (int i = 0; i < accepts_at_once; i++) {
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor < 0 && errno == EAGAIN) return;
    if (descriptor < 0) continue;
    connection *new = connection_create(read_and_echo);
    MUST(uv_tcp_init(poll->loop, &new->socket.tcp));
    MUST(uv_tcp_open(&new->socket.tcp, descriptor));
    uv_tcp_nodelay(&new->socket.tcp, 1);
    connection_read(new);
  }
}

void echo_accept(uv_loop_t *loop, const char *path) {
  (void)path;
  static uv_poll_t poll;
  listener = listening_socket();
  MUST(uv_poll_init(loop, &poll, listener));
  MUST(uv_poll_start(&poll, UV_READABLE, on_readable));
}
