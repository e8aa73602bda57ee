// A timer beside the connections.
#include "server.h"

enum { period_ms = 10 };

static uint64_t due;  // ns

static void on_tick(uv_timer_t *timer);

static void start(uv_timer_t *timer) {
  uv_update_time(timer->loop);
  due = peer_now() + period_ms * 1000000;
  MUST(uv_timer_start(timer, on_tick, period_ms, 0));
}

static void on_tick(uv_timer_t *timer) {
  uint64_t now = peer_now();
  // libuv counts in whole milliseconds, and may be that much early.
  printf("%llu\n", (unsigned long long)(now > due ? (now - due) / 1000 : 0));
  fflush(stdout);
  start(timer);
}

void start_ticks(uv_loop_t *loop) {
  static uv_timer_t timer;
  MUST(uv_timer_init(loop, &timer));
  start(&timer);
}
