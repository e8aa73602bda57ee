// Connections that write at once what the kernel takes, and read into one block that all of them share.
#include <string.h>

#include "server.h"

typedef struct {
  uv_write_t write;
  connection *from;
  char bytes[];
} rest;

static char block[block_size];

static void lend_block(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle, (void)suggested;
  *buffer = uv_buf_init(block, sizeof block);
}

connection *connection_create(uv_read_cb on_read) {
  connection *new = must_allocate(sizeof *new);
  new->on_read = on_read;
  new->other = NULL;
  new->has_ended = false;
  new->held = NULL;
  new->held_count = 0;
  return new;
}

void connection_read(connection *connection) {
  MUST(uv_read_start(&connection->socket.stream, lend_block, connection->on_read));
}

void connection_accept(uv_stream_t *listener, uv_read_cb on_read) {
  connection *new = connection_create(on_read);
  accept_into(listener, &new->socket);
  connection_read(new);
}

static void free_connection(uv_handle_t *handle) {
  connection *connection = (void *)handle;
  free(connection->held);
  free(connection);
}

void connection_close(connection *connection) {
  if (!uv_is_closing(&connection->socket.handle)) uv_close(&connection->socket.handle, free_connection);
}

static void on_rest_sent(uv_write_t *write, int status) {
  rest *rest = (void *)write;
  connection *from = rest->from;
  // Another one's rest may be queued behind this one.
  bool is_last = uv_stream_get_write_queue_size(write->handle) == 0;
  free(rest);
  // Cancelled, both are being closed, and the other one may be gone. After a failure reading tells what is the matter.
  if (status == UV_ECANCELED || !is_last || from->has_ended) return;
  connection_read(from);
}

void connection_send(connection *to, connection *from, const char *bytes, size_t count) {
  uv_buf_t buffer = uv_buf_init((char *)bytes, (unsigned)count);
  int sent = uv_try_write(&to->socket.stream, &buffer, 1);
  if (sent == (int)count) return;
  size_t left = count - (sent > 0 ? (size_t)sent : 0);
  rest *rest = must_allocate(sizeof *rest + left);
  rest->from = from;
  memcpy(rest->bytes, bytes + (count - left), left);
  buffer = uv_buf_init(rest->bytes, (unsigned)left);
  MUST(uv_write(&rest->write, &to->socket.stream, &buffer, 1, on_rest_sent));
  uv_read_stop(&from->socket.stream);
}
