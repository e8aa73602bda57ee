// A callback that posts the next one, until there have been enough.
#include "common.h"

typedef struct chain {
  uv_loop_t loop;
  uv_idle_t idle;
  size_t done, count;
  uint8_t *seen;
  struct link *ready, **tail;
} chain;

typedef struct link {
  struct link *next;
  void (*run)(chain *chain, size_t id);
  size_t id;
} link_node;

static void push(chain *chain, void (*run)(struct chain *, size_t), size_t id) {
  link_node *new = must_allocate(sizeof *new);
  *new = (link_node){NULL, run, id};
  *chain->tail = new;
  chain->tail = &new->next;
}

static link_node *pop(chain *chain) {
  link_node *first = chain->ready;
  if (first == NULL) return NULL;
  chain->ready = first->next;
  if (chain->ready == NULL) chain->tail = &chain->ready;
  return first;
}

static void step(chain *chain, size_t id) {
  chain->seen[id]++;
  chain->done++;
  if (id + 1 < chain->count) push(chain, step, id + 1);
}

static void run_one(chain *chain) {
  link_node *first = pop(chain);
  first->run(chain, first->id);
  free(first);
}

// drain: the ready list is run until it is empty.
static void drain(uv_idle_t *idle) {
  chain *chain = idle->data;
  while (chain->ready != NULL) run_one(chain);
  uv_close((uv_handle_t *)idle, NULL);
}

// tick: one link for each turn of the loop.
static void tick(uv_idle_t *idle) {
  chain *chain = idle->data;
  run_one(chain);
  if (chain->ready == NULL) uv_close((uv_handle_t *)idle, NULL);
}

static peer_result run_chain(size_t count, uv_idle_cb turn) {
  chain chain = {.count = count, .seen = seen_create(count)};
  chain.tail = &chain.ready;
  MUST(uv_loop_init(&chain.loop));
  MUST(uv_idle_init(&chain.loop, &chain.idle));
  chain.idle.data = &chain;
  MUST(uv_idle_start(&chain.idle, turn));
  push(&chain, step, 0);
  stopwatch watch = stopwatch_start();
  uv_run(&chain.loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  result.wrong = seen_destroy(chain.seen, count);
  MUST(uv_loop_close(&chain.loop));
  return result;
}

peer_result peer_selfpost_drain(size_t count) { return run_chain(count, drain); }

peer_result peer_selfpost_tick(size_t count) { return run_chain(count, tick); }
