// Trivial jobs on libuv's thread pool, with their ends on the loop.
#include "common.h"

typedef struct flight {
  uv_work_t work;
  struct pool_run *run;
  size_t id;
  struct flight *next_free;
} flight;

typedef struct pool_run {
  uv_loop_t loop;
  size_t next, count;
  uint8_t *seen;
  uint64_t *times;  // of one in flight, or null
  uint64_t began;
} pool_run;

static void work(uv_work_t *work) {
  flight *flight = work->data;
  flight->run->seen[flight->id]++;
}

static void submit(flight *flight);

static void after_work(uv_work_t *work, int status) {
  MUST(status);
  flight *flight = work->data;
  pool_run *run = flight->run;
  if (run->times != NULL) run->times[flight->id] = peer_now() - run->began;
  if (run->next < run->count) submit(flight);
}

static void submit(flight *flight) {
  pool_run *run = flight->run;
  flight->id = run->next++;
  flight->work.data = flight;
  if (run->times != NULL) run->began = peer_now();
  MUST(uv_queue_work(&run->loop, &flight->work, work, after_work));
}

static peer_result run_jobs(size_t count, size_t in_flight, uint64_t *times) {
  pool_run run = {.count = count, .seen = seen_create(count), .times = times};
  MUST(uv_loop_init(&run.loop));
  flight *flights = must_allocate(in_flight * sizeof *flights);
  stopwatch watch = stopwatch_start();
  for (size_t i = 0; i < in_flight && run.next < count; i++) {
    flights[i].run = &run;
    submit(&flights[i]);
  }
  uv_run(&run.loop, UV_RUN_DEFAULT);
  peer_result result = stopwatch_stop(watch);
  free(flights);
  MUST(uv_loop_close(&run.loop));
  result.wrong = seen_destroy(run.seen, count);
  return result;
}

peer_result peer_offload(size_t count, size_t in_flight) { return run_jobs(count, in_flight, NULL); }

size_t peer_offload_latency(size_t count, uint64_t *times) { return run_jobs(count, 1, times).wrong; }
