// `c-uv-try`
#include "server.h"

void read_and_echo(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  connection *connection = (void *)stream;
  if (count > 0) {
    connection_send(connection, connection, buffer->base, (size_t)count);
  } else if (count < 0) {
    connection_close(connection);
  }
}

static void on_connection(uv_stream_t *listener, int status) {
  MUST(status);
  connection_accept(listener, read_and_echo);
}

void echo_try(uv_loop_t *loop, const char *path) { listen_on(loop, path, on_connection); }
