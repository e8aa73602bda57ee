/// What takes no more work after a shutdown has been asked for, and says what was left.
protocol ReportedEnd: AnyObject, Sendable {
  /// Asks for the end. `deliver` is called once, on any thread, soon or now.
  func requestShutdown(_ deliver: @escaping @Sendable (ShutdownReport) -> Void)

  /// The time of a shutdown is over: the report comes now.
  func expire()
}

extension ReportedEnd {
  // MARK: On any thread

  /// Asks for the end and waits for the report.
  func ended(within limit: Duration?) async -> ShutdownReport {
    var timer: Task<Void, Never>?
    let report = await withCheckedContinuation { waiter in
      requestShutdown { waiter.resume(returning: $0) }
      // Swift's clock traps where a time is too far away.
      guard let nanoseconds = limit?.saturatingNanoseconds, nanoseconds < .max else { return }
      if nanoseconds <= 0 { return expire() }
      timer = Task.detached {
        do { try await Task.sleep(nanoseconds: UInt64(nanoseconds)) } catch { return }
        self.expire()
      }
    }
    timer?.cancel()
    return report
  }

  /// The same on a thread that may block.
  func endedBlocking(within limit: Duration?) -> ShutdownReport {
    let call = BlockingCall<ShutdownReport>()
    let deadline = limit.map { MonotonicClock.now(plus: max(.zero, $0)) }
    if let lease = WorkerLeases.current { call.block(lease) }
    requestShutdown { call.finish(.success(Disconnected($0))) }
    var outcome = call.wait(until: deadline)
    if outcome == nil {
      expire()
      outcome = call.wait(until: nil)
    }
    // It neither fails nor is late: the report always comes.
    guard case .success(let report) = outcome else { return ShutdownReport() }
    return report.take()
  }
}
