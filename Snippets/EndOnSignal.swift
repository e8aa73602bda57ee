// A service that works until it is asked to end.

// snippet.hide
import Foundation

// snippet.show
import UVLoop

try await withEventLoop(shutdownWithin: .seconds(5)) { loop in
  loop.task(name: "work") { loop in
    for try await _ in try loop.ticks(every: .milliseconds(100)) { print("working") }
    print("told to end")  // shutdown cancels the loop's tasks and waits for them
  }
  // snippet.hide
  try loop.schedule(after: .milliseconds(350)) { kill(getpid(), SIGTERM) }
  // snippet.show
  for try await signal in try loop.signals(.interrupt, .terminate) {
    print("ending because of", signal)
    break
  }
}
