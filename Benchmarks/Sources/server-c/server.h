// The servers in C, and what they share: sockets that listen, and the connections of those that try to write at once.
#ifndef UVLOOP_BENCHMARKS_SERVER_H
#define UVLOOP_BENCHMARKS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

#include "common.h"

enum { block_size = 64 * 1024 };

// listen.c

// The part of a connection that is libuv's.
typedef union {
  uv_handle_t handle;
  uv_stream_t stream;
  uv_tcp_t tcp;
  uv_pipe_t pipe;
} uv_socket;

// Listens on a port of the loopback's, or on a path, and prints which as soon as it does.
void listen_on(uv_loop_t *loop, const char *path, uv_connection_cb on_connection);
// A TCP socket that listens, without libuv.
int listening_socket(void);
// Prints it, so that the load begins.
void announce(int port);
// Every server sends small answers at once, as the library does and SwiftNIO too.
void accept_into(uv_stream_t *listener, uv_socket *socket);

// connection.c: of `c-uv-try`

typedef struct connection {
  uv_socket socket;  // Its first member.
  uv_read_cb on_read;
  struct connection *other;  // A proxy's.
  bool has_ended;            // Nothing more comes.
  char *held;                // The beginning of a line.
  size_t held_count;
} connection;

connection *connection_create(uv_read_cb on_read);
void connection_read(connection *connection);
// The callback of a listener whose connections are read by a function.
void connection_accept(uv_stream_t *listener, uv_read_cb on_read);
// And frees it.
void connection_close(connection *connection);
// What the kernel takes at once is sent at once. The rest is copied, and nothing is read from the other one until it is
// out.
void connection_send(connection *to, connection *from, const char *bytes, size_t count);

// The work of each, which begins with the argument of the command line, if there is one.

// write.c: `c-uv`, a request and a block from a free list for each answer
void echo_write(uv_loop_t *loop, const char *path);
// try.c: `c-uv-try`
void echo_try(uv_loop_t *loop, const char *path);
void read_and_echo(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer);
// accept.c: `c-uv-accept`, the same behind a socket that is watched and accepted from without `uv_listen`
void echo_accept(uv_loop_t *loop, const char *path);
// epoll.c: `epoll`, without a loop; does not return
void echo_epoll(uv_loop_t *loop, const char *path);
// lines.c: a write for each line, or for all lines of a read
void lines_try(uv_loop_t *loop, const char *path);
void lines_batch(uv_loop_t *loop, const char *path);
// proxy.c
void proxy_try(uv_loop_t *loop, const char *port);
// slow.c
void slow_try(uv_loop_t *loop, const char *path);
// datagram.c: sends each back with a request, or as `uv_udp_try_send` does; or counts them
void datagrams_send(uv_loop_t *loop, const char *path);
void datagrams_try(uv_loop_t *loop, const char *path);
void datagrams_count(uv_loop_t *loop, const char *path);
// tick.c: prints how late each tick is, in us
void start_ticks(uv_loop_t *loop);

#endif
