// `epoll`: the system's calls alone.
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server.h"

enum { events_at_once = 1024 };

typedef struct {
  int descriptor;
  size_t left, at;  // Of what the kernel has not taken yet. Nothing is read meanwhile.
  char *rest;
} client;

static int epoll;

static void watch(int operation, client *client, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = client};
  if (epoll_ctl(epoll, operation, client->descriptor, &event) != 0) exit(71);
}

static void end(client *client) {
  close(client->descriptor);
  free(client->rest);
  free(client);
}

static void accept_one(int listener) {
  int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), one = 1;
  if (descriptor < 0) return;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  client *new = must_allocate(sizeof *new);
  *new = (client){.descriptor = descriptor};
  watch(EPOLL_CTL_ADD, new, EPOLLIN);
}

static void echo_one(client *client) {
  static char block[block_size];
  ssize_t count = read(client->descriptor, block, sizeof block);
  if (count < 0 && errno == EAGAIN) return;
  if (count <= 0) {
    end(client);
    return;
  }
  ssize_t sent = write(client->descriptor, block, (size_t)count);
  if (sent == count) return;
  if (sent < 0 && errno != EAGAIN) {
    end(client);
    return;
  }
  if (sent < 0) sent = 0;
  client->left = (size_t)(count - sent);
  client->at = 0;
  client->rest = must_allocate(client->left);
  memcpy(client->rest, block + sent, client->left);
  watch(EPOLL_CTL_MOD, client, EPOLLOUT);
}

static void send_rest(client *client) {
  ssize_t sent = write(client->descriptor, client->rest + client->at, client->left);
  if (sent < 0 && errno == EAGAIN) return;
  if (sent < 0) {
    end(client);
    return;
  }
  client->at += (size_t)sent;
  client->left -= (size_t)sent;
  if (client->left > 0) return;
  free(client->rest);
  client->rest = NULL;
  watch(EPOLL_CTL_MOD, client, EPOLLIN);
}

void echo_epoll(uv_loop_t *loop, const char *path) {
  (void)loop, (void)path;
  int listener = listening_socket();
  epoll = epoll_create1(EPOLL_CLOEXEC);
  struct epoll_event ready[events_at_once], event = {.events = EPOLLIN};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) != 0) exit(71);
  for (;;) {
    int count = epoll_wait(epoll, ready, events_at_once, -1);
    for (int i = 0; i < count; i++) {
      client *client = ready[i].data.ptr;
      if (client == NULL) {
        accept_one(listener);
      } else if (client->left > 0) {
        send_rest(client);
      } else {
        echo_one(client);
      }
    }
  }
}
