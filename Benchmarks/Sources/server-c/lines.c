// Answers each line with itself.
#include <string.h>

#include "server.h"

// Longer lines are refused, as the library refuses them.
enum { line_limit = 64 * 1024 };

static void hold(connection *connection, const char *bytes, size_t count) {
  if (count == 0) return;
  if (connection->held == NULL) connection->held = must_allocate(line_limit);
  memcpy(connection->held + connection->held_count, bytes, count);
  connection->held_count += count;
}

// The end of the line that was held, if it is there. Returns where the next one begins, or null if the connection is
// closed.
static const char *finish_held(connection *connection, const char *bytes, const char *end) {
  if (connection->held_count == 0) return bytes;
  const char *newline = memchr(bytes, '\n', (size_t)(end - bytes));
  const char *next = newline != NULL ? newline + 1 : end;
  if (connection->held_count + (size_t)(next - bytes) > line_limit) {
    connection_close(connection);
    return NULL;
  }
  hold(connection, bytes, (size_t)(next - bytes));
  if (newline != NULL) {
    connection_send(connection, connection, connection->held, connection->held_count);
    connection->held_count = 0;
  }
  return next;
}

static void on_read_lines(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  connection *connection = (void *)stream;
  if (count < 0) connection_close(connection);
  if (count <= 0) return;
  const char *end = buffer->base + count, *line = finish_held(connection, buffer->base, end), *newline;
  if (line == NULL) return;
  while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) {
    connection_send(connection, connection, line, (size_t)(newline + 1 - line));
    line = newline + 1;
  }
  hold(connection, line, (size_t)(end - line));
}

// It finds the lines as well, and sends those that stand behind each other in the block by one write.
static void on_read_batch(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer) {
  connection *connection = (void *)stream;
  if (count < 0) connection_close(connection);
  if (count <= 0) return;
  const char *end = buffer->base + count, *first = finish_held(connection, buffer->base, end), *newline;
  if (first == NULL) return;
  const char *line = first;
  while ((newline = memchr(line, '\n', (size_t)(end - line))) != NULL) line = newline + 1;
  if (line > first) connection_send(connection, connection, first, (size_t)(line - first));
  hold(connection, line, (size_t)(end - line));
}

static void on_connection_lines(uv_stream_t *listener, int status) {
  MUST(status);
  connection_accept(listener, on_read_lines);
}

static void on_connection_batch(uv_stream_t *listener, int status) {
  MUST(status);
  connection_accept(listener, on_read_batch);
}

void lines_try(uv_loop_t *loop, const char *path) { listen_on(loop, path, on_connection_lines); }

void lines_batch(uv_loop_t *loop, const char *path) { listen_on(loop, path, on_connection_batch); }
