// Each connection sends a message and waits for it, as often as it can. So few datagrams are on their way at a time
// that the kernel has room for all: one that is lost ends the load as an answer does that never comes.
#include "echo.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

// Later answers count, and their times are not kept.
static const size_t room_for_times = 1u << 22;

// Bytes that no other question has, nor that of another connection.
static void new_question(client *client, size_t bytes) {
  uint64_t state = (++client->serial << 20) + (uint64_t)client->socket;
  for (size_t at = 0; at < bytes; at += sizeof state) {
    uint64_t word = peer_random(&state);
    memcpy(client->question + at, &word, bytes - at < sizeof word ? bytes - at : sizeof word);
  }
}

static void ask(echo *echo, client *client) {
  new_question(client, echo->load->bytes);
  client->got = 0;
  echo->waiting++;
  client->asked = peer_now();
  must_send(client->socket, client->question, echo->load->bytes);
}

echo echo_open(const load *load, size_t count) {
  echo echo = {.load = load, .epoll = epoll_create1(EPOLL_CLOEXEC), .count = count};
  echo.clients = allocate(count * sizeof *echo.clients);
  echo.times = allocate(room_for_times * sizeof *echo.times);
  int (*connect)(const char *) = strcmp(load->kind, "udp") == 0 ? dial_datagrams : dial;
  for (size_t i = 0; i < count; i++) {
    client *client = &echo.clients[i];
    client->socket = connect(load->server->address);
    client->question = allocate(load->bytes);
    new_question(client, load->bytes);
    must_send(client->socket, client->question, load->bytes);
    must_receive(client->socket, client->question, load->bytes);
    set_blocking(client->socket, false);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(echo.epoll, EPOLL_CTL_ADD, client->socket, &event) != 0) FAIL("epoll_ctl: %s", strerror(errno));
  }
  return echo;
}

// Whether all of the answer is there.
static bool receive(echo *echo, client *client) {
  static char received[read_room];
  size_t wanted = echo->load->bytes - client->got;
  // A byte that nobody has asked for is read here too, and is one too many.
  ssize_t got = recv(client->socket, received, wanted > 0 ? wanted : 1, 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return false;
  if (got < 0) FAIL("recv: %s", strerror(errno));
  if (got == 0) FAIL("the server closed a connection");
  if (wanted == 0) FAIL("more bytes came back than were sent");
  if (memcmp(received, client->question + client->got, (size_t)got) != 0) FAIL("other bytes came back");
  client->got += (size_t)got;
  return client->got == echo->load->bytes;
}

interval echo_run(echo *echo, interval *ended) {
  const load *load = echo->load;
  uint64_t warm = peer_now() + warm_up(load);
  interval begin = {0};
  bool is_over = false;
  for (size_t i = 0; i < echo->count; i++) ask(echo, &echo->clients[i]);
  while (!is_over || echo->waiting > 0) {
    struct epoll_event ready[512];
    int count = epoll_wait(echo->epoll, ready, 512, patience_ms);
    if (count < 0 && errno == EINTR) continue;
    if (count < 1) FAIL("the server answers no more");
    for (int i = 0; i < count; i++) {
      client *client = ready[i].data.ptr;
      if (!receive(echo, client)) continue;
      echo->waiting--;
      if (is_over) continue;
      if (begin.wall > 0) {
        if (echo->done < room_for_times) echo->times[echo->done] = peer_now() - client->asked;
        echo->done++;
      }
      ask(echo, client);
    }
    uint64_t now = peer_now();
    if (begin.wall == 0 && now >= warm) {
      begin = interval_now(load);
      echo->done = 0;
    } else if (begin.wall > 0 && !is_over && now >= begin.wall + load->size) {
      *ended = interval_now(load);
      is_over = true;
    }
  }
  return begin;
}

void echo_close(echo *echo) {
  for (size_t i = 0; i < echo->count; i++) {
    expect_nothing_more(echo->clients[i].socket);
    close(echo->clients[i].socket);
  }
}

void run_echo(const load *load) {
  echo echo = echo_open(load, load->connections);
  interval ended, began = echo_run(&echo, &ended);
  echo_close(&echo);
  interval_print(began, ended, (double)echo.done, "ops/s");
  print_latencies(echo.times, echo.done < room_for_times ? echo.done : room_for_times);
}
