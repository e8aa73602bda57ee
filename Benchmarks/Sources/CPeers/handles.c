// What one more handle costs, and one more loop, where there are many.
#include <pthread.h>

#include "common.h"

typedef struct open_handle {
  union {
    uv_handle_t handle;
    uv_timer_t timer;
    uv_async_t async;
  };
  uint8_t *seen;
  size_t id;
} open_handle;

typedef void open_function(uv_loop_t *loop, open_handle *handle);

static void on_async(uv_async_t *async) { (void)async; }

static void open_timer(uv_loop_t *loop, open_handle *handle) { MUST(uv_timer_init(loop, &handle->timer)); }

static void open_async(uv_loop_t *loop, open_handle *handle) { MUST(uv_async_init(loop, &handle->async, on_async)); }

static open_handle *open_one(uv_loop_t *loop, open_function *open, uint8_t *seen, size_t id) {
  open_handle *handle = must_allocate(sizeof *handle);
  open(loop, handle);
  handle->seen = seen;
  handle->id = id;
  return handle;
}

static void on_close(uv_handle_t *closed) {
  open_handle *handle = (void *)closed;  // It is its first member.
  handle->seen[handle->id]++;
  free(handle);
}

static void close_one(open_handle *handle) { uv_close(&handle->handle, on_close); }

// Handles are opened and closed while others stay open. Closed handles wait for the loop to turn: it turns once for a
// hundred.
static peer_result open_and_close(size_t count, size_t open, open_function *function) {
  uv_loop_t loop;
  MUST(uv_loop_init(&loop));
  size_t total = count + open;
  uint8_t *seen = seen_create(total);
  open_handle **others = must_allocate((open + 1) * sizeof *others);
  for (size_t i = 0; i < open; i++) others[i] = open_one(&loop, function, seen, i);
  stopwatch watch = stopwatch_start();
  for (size_t i = 0; i < count; i++) {
    close_one(open_one(&loop, function, seen, open + i));
    if (i % 100 == 99) uv_run(&loop, UV_RUN_NOWAIT);
  }
  uv_run(&loop, UV_RUN_NOWAIT);
  peer_result result = stopwatch_stop(watch);
  for (size_t i = 0; i < open; i++) close_one(others[i]);
  free(others);
  loop_destroy(&loop);
  result.wrong = seen_destroy(seen, total);
  return result;
}

peer_result peer_open_timers(size_t count, size_t open) { return open_and_close(count, open, open_timer); }

peer_result peer_open_asyncs(size_t count, size_t open) { return open_and_close(count, open, open_async); }

// One async handle's callback sends to it again, while others stay open. A wake looks at all of them.

typedef struct {
  uv_async_t async;
  uint8_t *seen;
  size_t next, count;
} sends;

static void send_again(uv_async_t *async) {
  sends *sends = async->data;
  sends->seen[sends->next++]++;
  if (sends->next == sends->count) {
    uv_stop(async->loop);
  } else {
    MUST(uv_async_send(async));
  }
}

peer_result peer_sends(size_t count, size_t open) {
  uv_loop_t loop;
  MUST(uv_loop_init(&loop));
  uint8_t *closed = seen_create(open + 1);
  open_handle **others = must_allocate((open + 1) * sizeof *others);
  for (size_t i = 0; i < open; i++) others[i] = open_one(&loop, open_async, closed, i);
  sends sends = {.seen = seen_create(count), .count = count};
  MUST(uv_async_init(&loop, &sends.async, send_again));
  sends.async.data = &sends;
  stopwatch watch = stopwatch_start();
  MUST(uv_async_send(&sends.async));
  uv_run(&loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  uv_close((uv_handle_t *)&sends.async, NULL);
  for (size_t i = 0; i < open; i++) close_one(others[i]);
  closed[open] = 1;
  free(others);
  loop_destroy(&loop);
  result.wrong = seen_destroy(sends.seen, count) + seen_destroy(closed, open + 1);
  return result;
}

// Loops with a thread each are made, called once and ended, so many at a time.

typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  pthread_t thread;
  uint8_t *seen;
} life;

static void end_life(uv_async_t *async) {
  life *life = async->data;
  (*life->seen)++;
  uv_close((uv_handle_t *)async, NULL);
}

static void *run_life(void *argument) {
  life *life = argument;
  uv_run(&life->loop, UV_RUN_DEFAULT);
  MUST(uv_loop_close(&life->loop));
  return NULL;
}

peer_result peer_lives(size_t count, size_t at_once) {
  uint8_t *seen = seen_create(count);
  life *lives = must_allocate(at_once * sizeof *lives);
  stopwatch watch = stopwatch_start();
  for (size_t first = 0; first < count; first += at_once) {
    size_t number = count - first < at_once ? count - first : at_once;
    for (size_t i = 0; i < number; i++) {
      life *life = &lives[i];
      life->seen = &seen[first + i];
      MUST(uv_loop_init(&life->loop));
      MUST(uv_async_init(&life->loop, &life->async, end_life));
      life->async.data = life;
      if (pthread_create(&life->thread, NULL, run_life, life) != 0) exit(73);
    }
    for (size_t i = 0; i < number; i++) MUST(uv_async_send(&lives[i].async));
    for (size_t i = 0; i < number; i++) pthread_join(lives[i].thread, NULL);
  }
  peer_result result = stopwatch_stop(watch);
  free(lives);
  result.wrong = seen_destroy(seen, count);
  return result;
}
