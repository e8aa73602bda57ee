// Datagrams. Those that come are read into one block, one at a time.
#include <netinet/in.h>
#include <string.h>

#include "server.h"

typedef struct node {
  uv_udp_send_t send;
  struct node *next;
  char bytes[block_size];
} node;

static node *free_nodes;
static uint64_t received;

static void lend_block(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer) {
  static char block[block_size];
  (void)handle, (void)suggested;
  *buffer = uv_buf_init(block, sizeof block);
}

static void on_sent(uv_udp_send_t *send, int status) {
  (void)status;  // A datagram may be lost.
  node *node = (void *)send;
  node->next = free_nodes;
  free_nodes = node;
}

static void send_back(uv_udp_t *socket, const uv_buf_t *buffer, size_t count, const struct sockaddr *address) {
  node *node = free_nodes;
  if (node != NULL) {
    free_nodes = node->next;
  } else {
    node = must_allocate(sizeof *node);
  }
  memcpy(node->bytes, buffer->base, count);
  uv_buf_t bytes = uv_buf_init(node->bytes, (unsigned)count);
  MUST(uv_udp_send(&node->send, socket, &bytes, 1, address, on_sent));
}

static void answer(
    uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *address, unsigned flags) {
  (void)flags;
  if (address != NULL && count >= 0) send_back(socket, buffer, (size_t)count, address);
}

static void try_to_answer(
    uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *address, unsigned flags) {
  (void)flags;
  if (address == NULL || count < 0) return;
  uv_buf_t bytes = uv_buf_init(buffer->base, (unsigned)count);
  int status = uv_udp_try_send(socket, &bytes, 1, address);
  if (status == UV_EAGAIN) {
    send_back(socket, buffer, (size_t)count, address);
  } else {
    MUST(status);
  }
}

static void count_it(
    uv_udp_t *socket, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *address, unsigned flags) {
  (void)buffer, (void)flags;
  if (address == NULL || count < 0) return;
  if (count != 1) {
    received++;
    return;
  }
  uv_buf_t bytes = uv_buf_init((char *)&received, sizeof received);
  int status = uv_udp_try_send(socket, &bytes, 1, address);
  if (status != UV_EAGAIN) MUST(status);
}

static void receive(uv_loop_t *loop, uv_udp_recv_cb on_datagram) {
  static uv_udp_t socket;
  struct sockaddr_in address;
  int length = sizeof address;
  MUST(uv_udp_init(loop, &socket));
  MUST(uv_ip4_addr("127.0.0.1", 0, &address));
  MUST(uv_udp_bind(&socket, (struct sockaddr *)&address, 0));
  MUST(uv_udp_recv_start(&socket, lend_block, on_datagram));
  MUST(uv_udp_getsockname(&socket, (struct sockaddr *)&address, &length));
  announce(ntohs(address.sin_port));
}

void datagrams_send(uv_loop_t *loop, const char *path) { (void)path, receive(loop, answer); }
void datagrams_try(uv_loop_t *loop, const char *path) { (void)path, receive(loop, try_to_answer); }
void datagrams_count(uv_loop_t *loop, const char *path) { (void)path, receive(loop, count_it); }
