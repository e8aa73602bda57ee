// Threads post closures (a function, its context, an id) to a loop.
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common.h"

typedef struct node {
  struct node *next;
  void (*run)(void *context, size_t id);
  void *context;
  size_t id;
} node;

typedef struct {
  void (*run)(void *context, size_t id);
  void *context;
  size_t id;
} item;

typedef struct {
  uv_loop_t loop;
  uv_async_t async;
  uv_poll_t poll;
  int descriptor;
  size_t left;
  uint8_t *seen;

  pthread_mutex_t mutex;
  node *head, **tail;              // mutex: a list
  item *items, *taken;             // array: two arrays that change places
  size_t count, capacity, taken_capacity;
  _Atomic(node *) stack;           // eventfd: a lock-free stack, reversed when it is taken
} loop_state;

typedef struct {
  loop_state *state;
  void (*post)(loop_state *state, size_t id);
  size_t first, last;
  pthread_barrier_t *barrier;
} producer;

static void count_one(void *context, size_t id) {
  loop_state *state = context;
  state->seen[id]++;
  state->left--;
}

static void finish_if_done(loop_state *state) {
  if (state->left > 0) return;
  if (state->descriptor >= 0) {
    uv_close((uv_handle_t *)&state->poll, NULL);
  } else {
    uv_close((uv_handle_t *)&state->async, NULL);
  }
}

static void *produce(void *argument) {
  producer *self = argument;
  pthread_barrier_wait(self->barrier);
  for (size_t id = self->first; id < self->last; id++) self->post(self->state, id);
  return NULL;
}

static node *node_create(loop_state *state, size_t id) {
  node *new = must_allocate(sizeof *new);
  *new = (node){NULL, count_one, state, id};
  return new;
}

static void run_list(node *list) {
  while (list != NULL) {
    node *next = list->next;
    list->run(list->context, list->id);
    free(list);
    list = next;
  }
}

// mutex: one allocation, one lock and one uv_async_send for each post.

static void post_mutex(loop_state *state, size_t id) {
  node *new = node_create(state, id);
  pthread_mutex_lock(&state->mutex);
  *state->tail = new;
  state->tail = &new->next;
  pthread_mutex_unlock(&state->mutex);
  uv_async_send(&state->async);
}

static void take_list(uv_async_t *async) {
  loop_state *state = async->data;
  pthread_mutex_lock(&state->mutex);
  node *list = state->head;
  state->head = NULL;
  state->tail = &state->head;
  pthread_mutex_unlock(&state->mutex);
  run_list(list);
  finish_if_done(state);
}

// array: no allocation for a post; a send only when the array was empty.

static void post_array(loop_state *state, size_t id) {
  pthread_mutex_lock(&state->mutex);
  if (state->count == state->capacity) {
    state->capacity *= 2;
    state->items = realloc(state->items, state->capacity * sizeof *state->items);
    if (state->items == NULL) exit(71);
  }
  state->items[state->count] = (item){count_one, state, id};
  bool was_empty = state->count++ == 0;
  pthread_mutex_unlock(&state->mutex);
  if (was_empty) uv_async_send(&state->async);
}

static void take_array(uv_async_t *async) {
  loop_state *state = async->data;
  pthread_mutex_lock(&state->mutex);
  item *items = state->items;
  size_t count = state->count, capacity = state->capacity;
  state->items = state->taken;
  state->capacity = state->taken_capacity;
  state->count = 0;
  pthread_mutex_unlock(&state->mutex);
  for (size_t i = 0; i < count; i++) items[i].run(items[i].context, items[i].id);
  state->taken = items;
  state->taken_capacity = capacity;
  finish_if_done(state);
}

// eventfd: a lock-free stack, and an eventfd of its own that only the first post of a burst writes to.

static void post_eventfd(loop_state *state, size_t id) {
  node *new = node_create(state, id);
  node *head = atomic_load_explicit(&state->stack, memory_order_relaxed);
  do {
    new->next = head;
  } while (!atomic_compare_exchange_weak_explicit(
      &state->stack, &head, new, memory_order_acq_rel, memory_order_relaxed));
  if (head == NULL) {
    uint64_t one = 1;
    if (write(state->descriptor, &one, sizeof one) != sizeof one) exit(72);
  }
}

static void take_stack(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  loop_state *state = poll->data;
  uint64_t written;
  if (read(state->descriptor, &written, sizeof written) != sizeof written) exit(72);
  node *stack = atomic_exchange_explicit(&state->stack, NULL, memory_order_acquire);
  node *list = NULL;
  while (stack != NULL) {
    node *next = stack->next;
    stack->next = list;
    list = stack;
    stack = next;
  }
  run_list(list);
  finish_if_done(state);
}

static peer_result run_posts(loop_state *state, void (*post)(loop_state *, size_t), size_t count, size_t producers) {
  state->left = count;
  state->seen = seen_create(count);
  pthread_barrier_t barrier;
  pthread_barrier_init(&barrier, NULL, (unsigned)producers + 1);
  pthread_t threads[producers];
  producer arguments[producers];
  for (size_t i = 0; i < producers; i++) {
    arguments[i] = (producer){state, post, count * i / producers, count * (i + 1) / producers, &barrier};
    if (pthread_create(&threads[i], NULL, produce, &arguments[i]) != 0) exit(73);
  }
  // Before the barrier: whoever is woken by it may have posted all before this thread runs again.
  stopwatch watch = stopwatch_start();
  pthread_barrier_wait(&barrier);
  uv_run(&state->loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  for (size_t i = 0; i < producers; i++) pthread_join(threads[i], NULL);
  pthread_barrier_destroy(&barrier);
  result.wrong = seen_destroy(state->seen, count);
  MUST(uv_loop_close(&state->loop));
  pthread_mutex_destroy(&state->mutex);
  free(state->items);
  free(state->taken);
  return result;
}

static void state_create(loop_state *state, uv_async_cb take) {
  *state = (loop_state){.descriptor = -1};
  state->tail = &state->head;
  pthread_mutex_init(&state->mutex, NULL);
  MUST(uv_loop_init(&state->loop));
  if (take == NULL) return;
  MUST(uv_async_init(&state->loop, &state->async, take));
  state->async.data = state;
}

peer_result peer_post_mutex(size_t count, size_t producers) {
  loop_state state;
  state_create(&state, take_list);
  return run_posts(&state, post_mutex, count, producers);
}

peer_result peer_post_array(size_t count, size_t producers) {
  loop_state state;
  state_create(&state, take_array);
  state.capacity = state.taken_capacity = 256;
  state.items = must_allocate(state.capacity * sizeof *state.items);
  state.taken = must_allocate(state.taken_capacity * sizeof *state.taken);
  return run_posts(&state, post_array, count, producers);
}

peer_result peer_post_eventfd(size_t count, size_t producers) {
  loop_state state;
  state_create(&state, NULL);
  state.descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  MUST(uv_poll_init(&state.loop, &state.poll, state.descriptor));
  state.poll.data = &state;
  MUST(uv_poll_start(&state.poll, UV_READABLE, take_stack));
  peer_result result = run_posts(&state, post_eventfd, count, producers);
  close(state.descriptor);
  return result;
}
