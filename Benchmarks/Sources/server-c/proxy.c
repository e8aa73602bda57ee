// Hands on what comes, both ways, to a server of its own for each connection.
#include "server.h"

typedef struct {
  uv_shutdown_t request;
  connection *connection;
} half_close;

static struct sockaddr_in target;

// What one has still to send would let the other one be read again, so neither is open without the other.
static void close_both(connection *connection) {
  if (uv_is_closing(&connection->socket.handle)) return;
  connection->has_ended = connection->other->has_ended = true;
  connection_close(connection->other);
  connection_close(connection);
}

static void on_half_closed(uv_shutdown_t *request, int status) {
  half_close *half = (void *)request;
  connection *connection = half->connection;
  free(half);
  if (status < 0 || connection->has_ended) close_both(connection);
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  connection *from = (void *)stream;
  if (count > 0) connection_send(from->other, from, buffer->base, (size_t)count);
  if (count >= 0) return;
  if (count != UV_EOF) {
    close_both(from);
    return;
  }
  from->has_ended = true;
  half_close *half = must_allocate(sizeof *half);
  half->connection = from->other;
  // Behind what is still to be sent.
  if (uv_shutdown(&half->request, &from->other->socket.stream, on_half_closed) == 0) return;
  free(half);
  close_both(from);
}

static void on_connected(uv_connect_t *request, int status) {
  connection *server = (void *)request->handle;
  free(request);
  if (status < 0) {
    close_both(server);
    return;
  }
  uv_tcp_nodelay(&server->socket.tcp, 1);
  connection_read(server);
  connection_read(server->other);
}

static void on_connection(uv_stream_t *listener, int status) {
  MUST(status);
  connection *client = connection_create(on_read), *server = connection_create(on_read);
  client->other = server;
  server->other = client;
  accept_into(listener, &client->socket);
  MUST(uv_tcp_init(listener->loop, &server->socket.tcp));
  uv_connect_t *request = must_allocate(sizeof *request);
  MUST(uv_tcp_connect(request, &server->socket.tcp, (struct sockaddr *)&target, on_connected));
}

void proxy_try(uv_loop_t *loop, const char *port) {
  MUST(uv_ip4_addr("127.0.0.1", port != NULL ? atoi(port) : 0, &target));
  listen_on(loop, NULL, on_connection);
}
