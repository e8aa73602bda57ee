// `c-uv`: each read has a block of its own, with the request that sends it back.
#include "server.h"

typedef struct node {
  uv_write_t write;
  struct node *next;
  char bytes[block_size];
} node;

static node *free_nodes;

static void lend_node(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  (void)handle, (void)suggested;
  node *node = free_nodes;
  if (node != NULL) {
    free_nodes = node->next;
  } else {
    node = must_allocate(sizeof *node);
  }
  *buffer = uv_buf_init(node->bytes, sizeof node->bytes);
}

static void give_back(node *node) {
  node->next = free_nodes;
  free_nodes = node;
}

static void on_written(uv_write_t *write, int status) {
  (void)status;  // Reading tells too.
  give_back((void *)write);
}

static void free_socket(uv_handle_t *handle) { free(handle); }

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  if (buffer->base != NULL) {
    node *lent = (void *)(buffer->base - offsetof(node, bytes));
    if (count > 0) {
      uv_buf_t bytes = uv_buf_init(lent->bytes, (unsigned)count);
      MUST(uv_write(&lent->write, stream, &bytes, 1, on_written));
      return;
    }
    give_back(lent);
  }
  if (count < 0) uv_close((uv_handle_t *)stream, free_socket);
}

static void on_connection(uv_stream_t *listener, int status) {
  MUST(status);
  uv_socket *socket = must_allocate(sizeof *socket);
  accept_into(listener, socket);
  MUST(uv_read_start(&socket->stream, lend_node, on_read));
}

void echo_write(uv_loop_t *loop, const char *path) { listen_on(loop, path, on_connection); }
