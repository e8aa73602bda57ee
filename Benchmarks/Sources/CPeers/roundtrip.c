// A thread posts to a loop and blocks until the posted function has answered.
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common.h"

typedef struct node {
  struct node *next;
  size_t id;
} node;

typedef struct trip {
  uv_loop_t loop;
  uv_async_t async;
  uv_poll_t poll;
  uv_prepare_t prepare;
  int descriptor;
  pthread_t thread;
  sem_t ready, answered;
  void (*answer)(struct trip *trip);
  uint8_t *seen;

  pthread_mutex_t mutex;
  node *head, **tail;
  bool ends;

  _Atomic(size_t) asked, replied;  // spin: ids from 1
  _Atomic(bool) loop_sleeps, caller_sleeps, stops;
} trip;

static void answer_semaphore(trip *trip) { sem_post(&trip->answered); }

static void run_all(trip *trip) {
  pthread_mutex_lock(&trip->mutex);
  node *list = trip->head;
  trip->head = NULL;
  trip->tail = &trip->head;
  bool ends = trip->ends;
  pthread_mutex_unlock(&trip->mutex);
  while (list != NULL) {
    node *next = list->next;
    trip->seen[list->id]++;
    trip->answer(trip);
    free(list);
    list = next;
  }
  if (ends) uv_stop(&trip->loop);
}

static void on_async(uv_async_t *async) { run_all(async->data); }

static void on_poll(uv_poll_t *poll, int status, int events) {
  (void)status;
  (void)events;
  trip *trip = poll->data;
  uint64_t written;
  if (read(trip->descriptor, &written, sizeof written) != sizeof written) exit(72);
  run_all(trip);
}

static void wake(trip *trip) {
  if (trip->descriptor < 0) {
    uv_async_send(&trip->async);
  } else {
    uint64_t one = 1;
    if (write(trip->descriptor, &one, sizeof one) != sizeof one) exit(72);
  }
}

static void *turn(void *argument) {
  trip *trip = argument;
  sem_post(&trip->ready);
  uv_run(&trip->loop, UV_RUN_DEFAULT);
  return NULL;
}

static void post(trip *trip, size_t id) {
  node *new = must_allocate(sizeof *new);
  *new = (node){NULL, id};
  pthread_mutex_lock(&trip->mutex);
  *trip->tail = new;
  trip->tail = &new->next;
  pthread_mutex_unlock(&trip->mutex);
  wake(trip);
}

static void trip_create(trip *trip, size_t count, bool with_eventfd) {
  *trip = (struct trip){.descriptor = -1, .seen = seen_create(count), .answer = answer_semaphore};
  trip->tail = &trip->head;
  pthread_mutex_init(&trip->mutex, NULL);
  sem_init(&trip->ready, 0, 0);
  sem_init(&trip->answered, 0, 0);
  MUST(uv_loop_init(&trip->loop));
  if (with_eventfd) {
    trip->descriptor = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    MUST(uv_poll_init(&trip->loop, &trip->poll, trip->descriptor));
    trip->poll.data = trip;
    MUST(uv_poll_start(&trip->poll, UV_READABLE, on_poll));
  } else {
    MUST(uv_async_init(&trip->loop, &trip->async, on_async));
    trip->async.data = trip;
  }
}

static void trip_start(trip *trip) {
  if (pthread_create(&trip->thread, NULL, turn, trip) != 0) exit(73);
  sem_wait(&trip->ready);
}

static size_t trip_destroy(trip *trip, size_t count) {
  pthread_join(trip->thread, NULL);
  uv_close(trip->descriptor < 0 ? (uv_handle_t *)&trip->async : (uv_handle_t *)&trip->poll, NULL);
  loop_destroy(&trip->loop);
  if (trip->descriptor >= 0) close(trip->descriptor);
  pthread_mutex_destroy(&trip->mutex);
  sem_destroy(&trip->ready);
  sem_destroy(&trip->answered);
  return seen_destroy(trip->seen, count);
}

static void end(trip *trip) {
  pthread_mutex_lock(&trip->mutex);
  trip->ends = true;
  pthread_mutex_unlock(&trip->mutex);
  wake(trip);
}

static size_t roundtrips(size_t count, uint64_t *times, bool with_eventfd) {
  trip trip;
  trip_create(&trip, count, with_eventfd);
  trip_start(&trip);
  for (size_t id = 0; id < count; id++) {
    uint64_t began = peer_now();
    post(&trip, id);
    sem_wait(&trip.answered);
    times[id] = peer_now() - began;
  }
  end(&trip);
  return trip_destroy(&trip, count);
}

size_t peer_roundtrip_mutex(size_t count, uint64_t *times) { return roundtrips(count, times, false); }

size_t peer_roundtrip_eventfd(size_t count, uint64_t *times) { return roundtrips(count, times, true); }

// spin: each side says that it is about to sleep, and looks for up to 50 µs before it does.

enum { spin_ns = 50000 };

static void spin_answer(trip *trip) {
  size_t asked = atomic_load(&trip->asked);
  if (asked == atomic_load(&trip->replied)) return;
  trip->seen[asked - 1]++;
  atomic_store(&trip->replied, asked);
  if (atomic_load(&trip->caller_sleeps)) sem_post(&trip->answered);
}

// Before the loop blocks.
static void spin_before_poll(uv_prepare_t *prepare) {
  trip *trip = prepare->data;
  uint64_t end = peer_now() + spin_ns;
  do {
    spin_answer(trip);
    if (atomic_load(&trip->stops)) {
      uv_stop(&trip->loop);
      return;
    }
    if (atomic_load(&trip->asked) != atomic_load(&trip->replied)) end = peer_now() + spin_ns;
  } while (peer_now() < end);
  atomic_store(&trip->loop_sleeps, true);
  // What came in meanwhile would find nobody to wake.
  spin_answer(trip);
}

static void spin_awake(uv_async_t *async) {
  trip *trip = async->data;
  atomic_store(&trip->loop_sleeps, false);
  spin_answer(trip);
  if (atomic_load(&trip->stops)) uv_stop(&trip->loop);
}

size_t peer_roundtrip_spin(size_t count, uint64_t *times) {
  trip trip;
  trip_create(&trip, count, false);
  trip.async.async_cb = spin_awake;
  MUST(uv_prepare_init(&trip.loop, &trip.prepare));
  trip.prepare.data = &trip;
  MUST(uv_prepare_start(&trip.prepare, spin_before_poll));
  trip_start(&trip);
  for (size_t id = 0; id < count; id++) {
    uint64_t began = peer_now();
    atomic_store(&trip.asked, id + 1);
    if (atomic_load(&trip.loop_sleeps)) uv_async_send(&trip.async);
    uint64_t give_up = began + spin_ns;
    while (atomic_load(&trip.replied) != id + 1 && peer_now() < give_up) {}
    if (atomic_load(&trip.replied) != id + 1) {
      atomic_store(&trip.caller_sleeps, true);
      while (atomic_load(&trip.replied) != id + 1) sem_wait(&trip.answered);
      atomic_store(&trip.caller_sleeps, false);
      while (sem_trywait(&trip.answered) == 0) {}
    }
    times[id] = peer_now() - began;
  }
  atomic_store(&trip.stops, true);
  uv_async_send(&trip.async);
  pthread_join(trip.thread, NULL);
  uv_close((uv_handle_t *)&trip.prepare, NULL);
  uv_close((uv_handle_t *)&trip.async, NULL);
  loop_destroy(&trip.loop);
  pthread_mutex_destroy(&trip.mutex);
  sem_destroy(&trip.ready);
  sem_destroy(&trip.answered);
  return seen_destroy(trip.seen, count);
}

// hop: a message from one loop to another one and back, as an actor's method that is called from elsewhere is.

typedef struct {
  trip *there, *back;
  size_t count, next;
  uint64_t began, *times;
} hops;

static hops *current_hops;

static void hop_start(hops *hops) {
  hops->began = peer_now();
  post(hops->there, hops->next);
}

static void hop_there(trip *trip) {
  (void)trip;
  post(current_hops->back, current_hops->next);
}

static void hop_back(trip *trip) {
  hops *hops = current_hops;
  hops->times[hops->next++] = peer_now() - hops->began;
  if (hops->next < hops->count) {
    hop_start(hops);
  } else {
    sem_post(&trip->answered);
  }
}

size_t peer_hop(size_t count, uint64_t *times) {
  trip there, back;
  trip_create(&there, count, false);
  trip_create(&back, count, false);
  there.answer = hop_there;
  back.answer = hop_back;
  hops hops = {&there, &back, count, 0, 0, times};
  current_hops = &hops;
  trip_start(&there);
  trip_start(&back);
  hop_start(&hops);
  sem_wait(&back.answered);
  end(&there);
  end(&back);
  size_t wrong = trip_destroy(&there, count);
  return wrong + trip_destroy(&back, count);
}
