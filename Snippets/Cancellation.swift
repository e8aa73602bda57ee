// What a cancelled wait does, and what a limit does to a loop over ticks.

import UVLoop

// snippet.limit
func count(_ loop: EventLoop, within limit: Duration) async throws -> Int {
  var ticks = 0
  do {
    try await loop.withTimeout(limit) {
      for try await _ in try loop.ticks(every: .milliseconds(10)) { ticks += 1 }
      try Task.checkCancellation()  // the sequence has ended because of the limit: say so
    }
  } catch let error as UVError where error.code == .timedOut {
    print(error.message)
  }
  return ticks
}
// snippet.end

// snippet.ends
func wait(on loop: EventLoop) async {
  do {
    try await loop.sleep(for: .seconds(60))
  } catch is CancellationError {
    print("somebody cancelled this task")
  } catch let error as UVError where error.code == .loopClosed {
    print("the loop has ended")
  } catch {
    print("never: a sleep has no other errors")
  }
}
// snippet.end

try await withEventLoop { loop in
  print(try await count(loop, within: .milliseconds(55)) > 2)
  loop.task { loop in await wait(on: loop) }
  try await loop.sleep(for: .milliseconds(1))
}
