// A server in C, as `tcpload` calls it:
//
//   server-c PEER WORK [PATH | PORT]
#include <signal.h>
#include <string.h>

#include "server.h"

static const struct {
  const char *peer, *work;
  void (*start)(uv_loop_t *loop, const char *argument);
} servers[] = {
    {"c-uv", "echo", echo_write},        {"c-uv", "unix", echo_write},        {"c-uv", "fair", echo_write},
    {"c-uv-try", "echo", echo_try},      {"c-uv-try", "unix", echo_try},      {"c-uv-try", "fair", echo_try},
    {"c-uv-try", "lines", lines_try},    {"c-uv-try", "proxy", proxy_try},    {"c-uv-try", "slow", slow_try},
    {"c-uv-accept", "echo", echo_accept}, {"c-uv-batch", "lines", lines_batch}, {"epoll", "echo", echo_epoll},
    {"c-uv", "udp", datagrams_send},     {"c-uv-try", "udp", datagrams_try},  {"c-uv", "flood", datagrams_count},
};

// What the load takes for: not this work.
static const int declined = 3;

int main(int count, char *arguments[]) {
  if (count < 3) {
    fprintf(stderr, "usage: server-c PEER WORK [PATH | PORT]\n");
    return 64;
  }
  signal(SIGPIPE, SIG_IGN);
  uv_loop_t *loop = uv_default_loop();
  for (size_t i = 0; i < sizeof servers / sizeof *servers; i++) {
    if (strcmp(servers[i].peer, arguments[1]) != 0 || strcmp(servers[i].work, arguments[2]) != 0) continue;
    servers[i].start(loop, arguments[3]);
    if (strcmp(arguments[2], "fair") == 0) start_ticks(loop);
    return uv_run(loop, UV_RUN_DEFAULT);
  }
  return declined;
}
