// Timers: made and cancelled by the ten thousand, and a hundred thousand that fire.
#include <stdbool.h>
#include <string.h>

#include "common.h"

// One uv_timer_t for each timer.

typedef struct {
  uv_timer_t timer;
  uint8_t *seen;
  size_t id;
} timer_box;

static void on_timer(uv_timer_t *timer) { (void)timer; }

static void free_box(uv_handle_t *handle) { free(handle->data); }

enum { far_ms = 3600000, spread_ms = 60000 };

static uint64_t far_delay(uint64_t *random) { return far_ms + peer_random(random) % spread_ms; }

static timer_box *start_box(uv_loop_t *loop, uint8_t *seen, size_t id, uint64_t *random) {
  timer_box *box = must_allocate(sizeof *box);
  MUST(uv_timer_init(loop, &box->timer));
  box->timer.data = box;
  box->seen = seen;
  box->id = id;
  MUST(uv_timer_start(&box->timer, on_timer, far_delay(random), 0));
  return box;
}

// A timer counts as seen when it has been cancelled.
static void stop_box(timer_box *box) {
  box->seen[box->id]++;
  MUST(uv_timer_stop(&box->timer));
  uv_close((uv_handle_t *)&box->timer, free_box);
}

// Either malloc, init and start for each new timer, and stop, close and free for each old one; closed handles wait for the
// loop to turn, which it does once for a thousand. Or the same handles are started anew, which stops them first.
static inline peer_result churn_boxes(size_t count, size_t pending, bool reuse) {
  uv_loop_t loop;
  MUST(uv_loop_init(&loop));
  uint64_t random = 42;
  size_t total = count + pending;
  uint8_t *seen = seen_create(total);
  timer_box **boxes = must_allocate(pending * sizeof *boxes);
  for (size_t i = 0; i < pending; i++) boxes[i] = start_box(&loop, seen, i, &random);
  stopwatch watch = stopwatch_start();
  for (size_t i = 0; i < count; i++) {
    size_t victim = peer_random(&random) % pending;
    if (reuse) {
      timer_box *box = boxes[victim];
      seen[box->id]++;
      box->id = pending + i;
      MUST(uv_timer_start(&box->timer, on_timer, far_delay(&random), 0));
    } else {
      stop_box(boxes[victim]);
      boxes[victim] = start_box(&loop, seen, pending + i, &random);
      if (i % 1000 == 999) uv_run(&loop, UV_RUN_NOWAIT);
    }
  }
  uv_run(&loop, UV_RUN_NOWAIT);
  peer_result result = stopwatch_stop(watch);
  for (size_t i = 0; i < pending; i++) stop_box(boxes[i]);
  free(boxes);
  loop_destroy(&loop);
  result.wrong = seen_destroy(seen, total);
  return result;
}

peer_result peer_churn_close(size_t count, size_t pending) { return churn_boxes(count, pending, false); }

peer_result peer_churn_reuse(size_t count, size_t pending) { return churn_boxes(count, pending, true); }

// heap: all deadlines in one 4-ary heap of ours, in nanoseconds, over one uv_timer_t that is set to the first.

typedef struct {
  int64_t deadline;
  uint64_t sequence;
  uint32_t slot;
} heap_entry;

typedef struct {
  void (*run)(void *context, size_t id);
  void *context;
  size_t id;
  uint32_t position;   // in the heap, or the next free slot
} heap_slot;

typedef struct {
  heap_entry *entries;
  heap_slot *slots;
  uint32_t count, capacity, first_free;
  uint64_t sequence;
  uv_timer_t *driver;
  int64_t armed;  // the deadline that the driver is set to, or INT64_MAX
} heap;

static const uint32_t none = UINT32_MAX;

static bool before(const heap_entry *a, const heap_entry *b) {
  return a->deadline < b->deadline || (a->deadline == b->deadline && a->sequence < b->sequence);
}

static void place(heap *heap, uint32_t position, heap_entry entry) {
  heap->entries[position] = entry;
  heap->slots[entry.slot].position = position;
}

static void sift_up(heap *heap, uint32_t position, heap_entry entry) {
  while (position > 0) {
    uint32_t parent = (position - 1) / 4;
    if (!before(&entry, &heap->entries[parent])) break;
    place(heap, position, heap->entries[parent]);
    position = parent;
  }
  place(heap, position, entry);
}

static void sift_down(heap *heap, uint32_t position, heap_entry entry) {
  for (;;) {
    uint32_t first = position * 4 + 1;
    if (first >= heap->count) break;
    uint32_t last = first + 4 < heap->count ? first + 4 : heap->count;
    uint32_t least = first;
    for (uint32_t child = first + 1; child < last; child++) {
      if (before(&heap->entries[child], &heap->entries[least])) least = child;
    }
    if (!before(&heap->entries[least], &entry)) break;
    place(heap, position, heap->entries[least]);
    position = least;
  }
  place(heap, position, entry);
}

static void heap_grow(heap *heap) {
  uint32_t capacity = heap->capacity == 0 ? 64 : heap->capacity * 2;
  heap->entries = realloc(heap->entries, capacity * sizeof *heap->entries);
  heap->slots = realloc(heap->slots, capacity * sizeof *heap->slots);
  if (heap->entries == NULL || heap->slots == NULL) exit(71);
  for (uint32_t slot = heap->capacity; slot < capacity; slot++) {
    heap->slots[slot].position = slot + 1 < capacity ? slot + 1 : none;
  }
  heap->first_free = heap->capacity;
  heap->capacity = capacity;
}

static uint32_t heap_add(
    heap *heap, int64_t deadline, void (*run)(void *context, size_t id), void *context, size_t id) {
  if (heap->count == heap->capacity) heap_grow(heap);
  uint32_t slot = heap->first_free;
  heap->first_free = heap->slots[slot].position;
  heap->slots[slot] = (heap_slot){run, context, id, heap->count};
  sift_up(heap, heap->count++, (heap_entry){deadline, heap->sequence++, slot});
  return slot;
}

static void heap_remove(heap *heap, uint32_t slot) {
  uint32_t position = heap->slots[slot].position;
  heap_entry last = heap->entries[--heap->count];
  if (last.slot != slot) {
    if (position > 0 && before(&last, &heap->entries[(position - 1) / 4])) {
      sift_up(heap, position, last);
    } else {
      sift_down(heap, position, last);
    }
  }
  heap->slots[slot].position = heap->first_free;
  heap->first_free = slot;
}

static void heap_destroy(heap *heap) {
  free(heap->entries);
  free(heap->slots);
}

static void on_driver(uv_timer_t *driver);

// Never early: rounded up from the clock itself, not from the loop's cached time.
static void heap_arm(heap *heap) {
  int64_t first = heap->count > 0 ? heap->entries[0].deadline : INT64_MAX;
  if (first == heap->armed) return;
  heap->armed = first;
  if (first == INT64_MAX) {
    MUST(uv_timer_stop(heap->driver));
    return;
  }
  uv_update_time(heap->driver->loop);
  int64_t at = (first + 999999) / 1000000;
  int64_t now = (int64_t)uv_now(heap->driver->loop);
  MUST(uv_timer_start(heap->driver, on_driver, at > now ? (uint64_t)(at - now) : 0, 0));
}

static void on_driver(uv_timer_t *driver) {
  heap *heap = driver->data;
  heap->armed = INT64_MAX;
  int64_t now = (int64_t)peer_now();
  while (heap->count > 0 && heap->entries[0].deadline <= now) {
    heap_slot slot = heap->slots[heap->entries[0].slot];
    heap_remove(heap, heap->entries[0].slot);
    slot.run(slot.context, slot.id);
  }
  if (heap->count > 0) heap_arm(heap);
}

static void mark(void *context, size_t id) { ((uint8_t *)context)[id]++; }

peer_result peer_churn_heap(size_t count, size_t pending) {
  uv_loop_t loop;
  uv_timer_t driver;
  MUST(uv_loop_init(&loop));
  MUST(uv_timer_init(&loop, &driver));
  heap heap = {.first_free = none, .driver = &driver, .armed = INT64_MAX};
  driver.data = &heap;
  uint64_t random = 42;
  size_t total = count + pending;
  uint8_t *seen = seen_create(total);
  uint32_t *slots = must_allocate(pending * sizeof *slots);
  int64_t now = (int64_t)peer_now();
  for (size_t i = 0; i < pending; i++) {
    slots[i] = heap_add(&heap, now + (int64_t)far_delay(&random) * 1000000, mark, seen, i);
  }
  stopwatch watch = stopwatch_start();
  for (size_t i = 0; i < count; i++) {
    size_t victim = peer_random(&random) % pending;
    seen[heap.slots[slots[victim]].id]++;
    heap_remove(&heap, slots[victim]);
    int64_t deadline = (int64_t)peer_now() + (int64_t)far_delay(&random) * 1000000;
    slots[victim] = heap_add(&heap, deadline, mark, seen, pending + i);
  }
  heap_arm(&heap);
  peer_result result = stopwatch_stop(watch);
  for (size_t i = 0; i < pending; i++) {
    seen[heap.slots[slots[i]].id]++;
    heap_remove(&heap, slots[i]);
  }
  uv_close((uv_handle_t *)&driver, NULL);
  loop_destroy(&loop);
  heap_destroy(&heap);
  free(slots);
  result.wrong = seen_destroy(seen, total);
  return result;
}

// One-shots.

typedef struct {
  uint8_t *seen;
  int64_t *due;       // ns
  int64_t *lateness;  // ns, below zero where early
} record;

static record record_create(size_t count) {
  record record = {
      seen_create(count), must_allocate(count * sizeof(int64_t)), must_allocate(count * sizeof(int64_t))};
  // Touched now, so that it is not counted as memory of the timers.
  memset(record.due, 0, count * sizeof(int64_t));
  memset(record.lateness, 0, count * sizeof(int64_t));
  for (size_t i = 0; i < count; i++) record.seen[i] = 0;
  return record;
}

static void record_fired(record *record, size_t id) {
  record->lateness[id] = (int64_t)peer_now() - record->due[id];
  record->seen[id]++;
}

static int compare_times(const void *a, const void *b) {
  int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
  return (x > y) - (x < y);
}

static peer_lateness record_destroy(record *record, size_t count, peer_result result, uint64_t memory_before) {
  peer_lateness all = {.result = result};
  all.bytes = ((double)peer_peak_memory() - (double)memory_before) / (double)count;
  qsort(record->lateness, count, sizeof *record->lateness, compare_times);
  all.early_max = record->lateness[0] < 0 ? (double)-record->lateness[0] / 1e6 : 0;
  all.late_p99 = (double)record->lateness[count * 99 / 100] / 1e6;
  all.late_max = (double)record->lateness[count - 1] / 1e6;
  all.result.wrong = seen_destroy(record->seen, count);
  free(record->due);
  free(record->lateness);
  return all;
}

typedef struct {
  uv_timer_t timer;
  record *record;
  size_t id;
} shot;

static void free_shot(uv_handle_t *handle) { free(handle); }

static void on_shot(uv_timer_t *timer) {
  shot *shot = (void *)timer;  // The timer is its first member.
  record_fired(shot->record, shot->id);
  uv_close((uv_handle_t *)timer, free_shot);
}

peer_lateness peer_oneshots(size_t count, unsigned within_ms) {
  uv_loop_t loop;
  MUST(uv_loop_init(&loop));
  record record = record_create(count);
  uint64_t random = 42;
  uint64_t memory = peer_memory();
  stopwatch watch = stopwatch_start();
  for (size_t id = 0; id < count; id++) {
    shot *shot = must_allocate(sizeof *shot);
    shot->record = &record;
    shot->id = id;
    MUST(uv_timer_init(&loop, &shot->timer));
    uint64_t delay = peer_random(&random) % within_ms;
    // A timer counts from the loop's cached time, which grows old while so many are made.
    uv_update_time(&loop);
    record.due[id] = (int64_t)(peer_now() + delay * 1000000);
    MUST(uv_timer_start(&shot->timer, on_shot, delay, 0));
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  MUST(uv_loop_close(&loop));
  return record_destroy(&record, count, result, memory);
}

static void heap_shot(void *context, size_t id) { record_fired(context, id); }

peer_lateness peer_oneshots_heap(size_t count, unsigned within_ms) {
  uv_loop_t loop;
  uv_timer_t driver;
  MUST(uv_loop_init(&loop));
  MUST(uv_timer_init(&loop, &driver));
  heap heap = {.first_free = none, .driver = &driver, .armed = INT64_MAX};
  driver.data = &heap;
  record record = record_create(count);
  uint64_t random = 42;
  uint64_t memory = peer_memory();
  stopwatch watch = stopwatch_start();
  for (size_t id = 0; id < count; id++) {
    uint64_t delay = peer_random(&random) % within_ms;
    record.due[id] = (int64_t)(peer_now() + delay * 1000000);
    heap_add(&heap, record.due[id], heap_shot, &record, id);
  }
  heap_arm(&heap);
  uv_run(&loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  uv_close((uv_handle_t *)&driver, NULL);
  loop_destroy(&loop);
  heap_destroy(&heap);
  return record_destroy(&record, count, result, memory);
}
