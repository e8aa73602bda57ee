/// A plain thread that waits for the result of asynchronous code. The first outcome counts.
final class BlockingCall<R>: @unchecked Sendable {  // Holds because `outcome` is guarded by `lock`.
  private let lock = Lock()
  private var outcome: Result<Transfer<R>, any Error>?

  func finish(_ result: Result<Transfer<R>, any Error>) {
    lock.withLock {
      if outcome == nil { outcome = result }
      lock.wakeAll()
    }
  }

  /// Blocks the thread; nil once `deadline` (nanoseconds of the monotonic clock) has passed.
  func wait(until deadline: Int64?) -> Result<Transfer<R>, any Error>? {
    lock.withLock {
      while outcome == nil {
        guard let deadline, deadline != .max else {
          lock.wait()
          continue
        }
        if !lock.wait(until: deadline) { break }
      }
      return outcome
    }
  }
}
