// Very many connections that each had a byte back and then keep still, and what those that are busy cost beside them.
#include <unistd.h>

#include "echo.h"

enum { busy_connections = 50 };

void run_idle(const load *load) {
  echo busy = echo_open(load, busy_connections);
  interval ended, began = echo_run(&busy, &ended);
  double alone = (double)(ended.cpu - began.cpu) / 1e3 / (double)busy.done;

  int *idle = allocate(load->connections * sizeof *idle);
  uint64_t before = server_memory(load->server);
  for (size_t i = 0; i < load->connections; i++) {
    char byte = (char)i;
    idle[i] = dial(load->server->address);
    must_send(idle[i], &byte, 1);
    must_receive(idle[i], &byte, 1);
  }
  uint64_t after = server_memory(load->server);

  began = echo_run(&busy, &ended);
  double beside = (double)(ended.cpu - began.cpu) / 1e3 / (double)busy.done;
  for (size_t i = 0; i < load->connections; i++) {
    expect_nothing_more(idle[i]);
    close(idle[i]);
  }
  echo_close(&busy);
  print_figure("", ((double)after - (double)before) / (double)load->connections, "B");
  print_figure(".cpu", beside, "us");
  print_figure(".cpu-without", alone, "us");
}
