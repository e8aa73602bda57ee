// Very many readers that each take so many bytes a second of the MiB that the server has for them.
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum {
  message_length = 1 << 20,
  receive_room = 4096,
  read_to_the_end = 10,  // So many of the connections, once their server's memory is known.
};

// What all servers send.
static uint8_t byte_at(size_t offset) { return (uint8_t)(offset ^ offset >> 8 ^ offset >> 16); }

// The new offset.
static size_t read_some(int socket, size_t offset, size_t count) {
  static uint8_t received[read_room];
  ssize_t got = recv(socket, received, count, 0);
  if (got < 0) FAIL("recv: %s", strerror(errno));
  if (got == 0) FAIL("the server closed a connection");
  for (ssize_t i = 0; i < got; i++) {
    if (received[i] != byte_at(offset + (size_t)i)) FAIL("other bytes came");
  }
  return offset + (size_t)got;
}

static void sleep_until(uint64_t time) {
  struct timespec at = {(time_t)(time / 1000000000u), (long)(time % 1000000000u)};
  while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR) {}
}

void run_slow(const load *load) {
  size_t count = load->connections;
  int *sockets = allocate(count * sizeof *sockets);
  size_t *offsets = allocate(count * sizeof *offsets);
  // The first one, so that what is made once is not counted.
  int first = dial_with_room(load->server->address, receive_room);
  read_some(first, 0, load->bytes);
  uint64_t before = server_memory(load->server);
  for (size_t i = 0; i < count; i++) {
    sockets[i] = dial_with_room(load->server->address, receive_room);
    offsets[i] = read_some(sockets[i], 0, load->bytes);
  }
  uint64_t began = peer_now(), step = 1000000000u / count;
  for (size_t i = 0; began + i * step < began + load->size; i++) {
    sleep_until(began + i * step);
    offsets[i % count] = read_some(sockets[i % count], offsets[i % count], load->bytes);
  }
  uint64_t after = server_memory(load->server);
  for (size_t i = 0; i < count && i < read_to_the_end; i++) {
    while (offsets[i] < message_length) offsets[i] = read_some(sockets[i], offsets[i], read_room);
    if (offsets[i] != message_length) FAIL("more bytes came than the server has");
    if (recv(sockets[i], &(char){0}, 1, 0) != 0) FAIL("no end came behind the last byte");
  }
  print_figure("", ((double)after - (double)before) / (double)count, "B");
  for (size_t i = 0; i < count; i++) close(sockets[i]);
  close(first);
}
