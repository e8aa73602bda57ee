// A loop, one callback, the end.
#include <uv.h>

static void on_async(uv_async_t *async) { uv_close((uv_handle_t *)async, NULL); }

int main(void) {
  uv_loop_t loop;
  uv_async_t async;
  if (uv_loop_init(&loop) != 0 || uv_async_init(&loop, &async, on_async) != 0 || uv_async_send(&async) != 0) return 1;
  uv_run(&loop, UV_RUN_DEFAULT);
  return uv_loop_close(&loop) == 0 ? 0 : 1;
}
