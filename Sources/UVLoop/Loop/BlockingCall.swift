/// A plain thread that waits for the result of asynchronous code. The first outcome counts.
final class BlockingCall<R>: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var outcome: Result<Disconnected<R>, any Error>?
  private var lease: (any WorkerLease)?

  // MARK: On the thread that waits

  /// Says that `lease`, of the calling thread, is going to wait for the outcome.
  func block(_ lease: any WorkerLease) {
    lock.withLock {
      if outcome != nil { return }
      self.lease = lease
      lease.block()
    }
  }

  /// Blocks the thread; nil once `deadline` (nanoseconds of the monotonic clock) has passed.
  func wait(until deadline: Int64?) -> Result<Disconnected<R>, any Error>? {
    lock.withLock {
      while outcome == nil {
        guard let deadline, deadline != .max else {
          lock.wait()
          continue
        }
        if !lock.wait(until: deadline) {
          unblock()
          break
        }
      }
      return outcome
    }
  }

  // MARK: On any thread

  func finish(_ result: Result<Disconnected<R>, any Error>) {
    lock.withLock {
      if outcome == nil {
        outcome = result
        unblock()
      }
      lock.wakeAll()
    }
  }

  /// The wait is over here, and not when the thread has woken: what follows the outcome may need to know.
  private func unblock() {
    lease?.unblock()
    lease = nil
  }
}
