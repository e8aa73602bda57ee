@testable import UVLoop

extension EventLoop {
  /// Wakes that were sent to the loop so far.
  nonisolated var wakes: Int { core.inbox.counts.wakes }

  /// Passes of libuv's loop so far, each with one poll.
  var turns: Int { core.counters.turns.value }
}

/// How many wakes a loop gets while `body` runs on it.
func wakes(
  of loop: isolated EventLoop, during body: (isolated EventLoop) async throws -> Void
) async rethrows -> Int {
  let before = loop.wakes
  try await body(loop)
  return loop.wakes - before
}
