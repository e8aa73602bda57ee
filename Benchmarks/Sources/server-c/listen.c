#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "server.h"

enum { backlog = 4096 };

void announce(int port) {
  printf("%d\n", port);
  fflush(stdout);
}

void listen_on(uv_loop_t *loop, const char *path, uv_connection_cb on_connection) {
  static uv_socket listener;
  struct sockaddr_in address;
  int length = sizeof address, port = 0;
  if (path != NULL) {
    MUST(uv_pipe_init(loop, &listener.pipe, 0));
    MUST(uv_pipe_bind(&listener.pipe, path));
  } else {
    MUST(uv_tcp_init(loop, &listener.tcp));
    MUST(uv_ip4_addr("127.0.0.1", 0, &address));
    MUST(uv_tcp_bind(&listener.tcp, (struct sockaddr *)&address, 0));
  }
  MUST(uv_listen(&listener.stream, backlog, on_connection));
  if (path == NULL) {
    MUST(uv_tcp_getsockname(&listener.tcp, (struct sockaddr *)&address, &length));
    port = ntohs(address.sin_port);
  }
  announce(port);
}

int listening_socket(void) {
  int result = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  if (result < 0 || bind(result, (struct sockaddr *)&address, length) != 0 || listen(result, backlog) != 0 ||
      getsockname(result, (struct sockaddr *)&address, &length) != 0) {
    perror("listen");
    exit(71);
  }
  announce(ntohs(address.sin_port));
  return result;
}

void accept_into(uv_stream_t *listener, uv_socket *socket) {
  if (listener->type == UV_TCP) {
    MUST(uv_tcp_init(listener->loop, &socket->tcp));
  } else {
    MUST(uv_pipe_init(listener->loop, &socket->pipe, 0));
  }
  MUST(uv_accept(listener, &socket->stream));
  // It may have been reset already, which reading it tells.
  if (listener->type == UV_TCP) uv_tcp_nodelay(&socket->tcp, 1);
}
