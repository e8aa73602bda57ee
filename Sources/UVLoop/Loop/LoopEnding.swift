/// Who waits for the end of a loop, until when, and what they are told.
final class LoopEnding: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var began: Int64?
  private var shortest: Int64?
  private var composed: ShutdownReport?
  private var delivered: ShutdownReport?
  private var waiters: [@Sendable (ShutdownReport) -> Void] = []

  /// When to give up waiting, in nanoseconds of the monotonic clock: the shortest of all limits.
  var deadline: Int64? { lock.withLock { shortest } }

  func begin(within limit: Duration?) {
    let now = MonotonicClock.now()
    let deadline = limit.map { MonotonicClock.now(plus: $0) }
    lock.withLock {
      if began == nil { began = now }
      if let deadline { shortest = min(shortest ?? .max, deadline) }
    }
  }

  /// Calls `waiter` with the report: at once if there is one, else on the loop's thread.
  func whenDelivered(_ waiter: @escaping @Sendable (ShutdownReport) -> Void) {
    let report = lock.withLock { () -> ShutdownReport? in
      if delivered == nil { waiters.append(waiter) }
      return delivered
    }
    if let report { waiter(report) }
  }

  func compose(_ report: ShutdownReport) { lock.withLock { composed = report } }

  /// The loop has stopped. Only the first call tells anybody.
  func deliver(_ core: LoopCore) {
    core.watch.observer.shutdownReturns()
    core.endLife()
    let (report, told) = lock.withLock { () -> (ShutdownReport, [@Sendable (ShutdownReport) -> Void]) in
      if let delivered { return (delivered, []) }
      var report = composed ?? ShutdownReport()
      report.duration = .nanoseconds(MonotonicClock.now() - (began ?? 0))
      delivered = report
      let told = waiters
      waiters = []
      return (report, told)
    }
    for waiter in told { waiter(report) }
  }
}
