// Sends a MiB to whoever connects, in pieces that are made when the one before is out.
#include "server.h"

enum { pieces = 16, send_room = 16 * 1024 };

typedef struct {
  uv_socket socket;
  uv_write_t write;
  unsigned piece;
  uint8_t bytes[block_size];
} sender;

static void free_sender(uv_handle_t *handle) { free(handle); }

static void send_next(sender *sender);

static void on_sent(uv_write_t *write, int status) {
  sender *sender = write->data;
  if (status == 0) {
    send_next(sender);
  } else if (!uv_is_closing(&sender->socket.handle)) {
    uv_close(&sender->socket.handle, free_sender);
  }
}

static void send_next(sender *sender) {
  for (; sender->piece < pieces;) {
    for (size_t i = 0; i < block_size; i++) sender->bytes[i] = (uint8_t)(i ^ i >> 8 ^ sender->piece);
    sender->piece++;
    uv_buf_t bytes = uv_buf_init((char *)sender->bytes, block_size);
    int sent = uv_try_write(&sender->socket.stream, &bytes, 1);
    if (sent == block_size) continue;
    size_t begin = sent > 0 ? (size_t)sent : 0;
    bytes = uv_buf_init((char *)sender->bytes + begin, (unsigned)(block_size - begin));
    MUST(uv_write(&sender->write, &sender->socket.stream, &bytes, 1, on_sent));
    return;
  }
  uv_close(&sender->socket.handle, free_sender);
}

static void on_connection(uv_stream_t *listener, int status) {
  MUST(status);
  sender *new = must_allocate(sizeof *new);
  new->write.data = new;
  new->piece = 0;
  accept_into(listener, &new->socket);
  // Else the kernel may take all of it.
  int room = send_room;
  MUST(uv_send_buffer_size(&new->socket.handle, &room));
  send_next(new);
}

void slow_try(uv_loop_t *loop, const char *path) { listen_on(loop, path, on_connection); }
