/// Something that ran on a loop for longer than it should have, as ``EventLoop/reportSlowCalls(over:_:)`` tells.
public struct SlowCall: Sendable, Codable {
  /// The loop's name.
  public let loop: String
  /// What kind of thing ran.
  public let kind: CallKind
  /// The name of the task, where it is one of ``EventLoop/task(name:priority:operation:)-5ghw1``; the two ends of the
  /// stream, for its callbacks.
  public let label: String?
  /// How long it had waited before it ran: since it was posted, or was due.
  public let waited: Duration
  /// How long it ran, in the machine's time.
  public let ran: Duration
  /// Where it was posted or scheduled, or where its handle was made; nil for a task, and for what was there before the
  /// reports were switched on, unless the loop is in debug mode.
  public let site: StackTrace?

  init(_ running: LoopMonitor.Running, ran: Duration, on loop: String) {
    self.loop = loop
    kind = running.call.kind
    label = running.label
    waited = running.waited
    self.ran = ran
    site = running.call.site.map { StackTrace($0) }
  }
}

extension SlowCall: CustomStringConvertible {
  /// What ran, for how long, and how long it had waited; then the site, if it is known.
  public var description: String {
    let what = label.map { "\(kind) \"\($0)\"" } ?? "\(kind)"
    let line = "\(what) ran for \(ran.text) on loop \"\(loop)\", after it had waited for \(waited.text)"
    return site.map { "\(line); it came from\n\($0)" } ?? line
  }
}

extension EventLoop {
  /// Reports each closure, part of a task, scheduled call or callback of a handle that runs for `threshold` or longer.
  ///
  /// ```swift
  /// try loop.reportSlowCalls(over: .milliseconds(100)) { print($0) }
  /// ```
  ///
  /// The report comes when the call has ended; what blocks a loop for ever is for
  /// ``startWatchdog(over:signal:_:)``. A second call replaces threshold and report. Callbacks of C neighbours are not
  /// seen. While it is on each call costs some 400 ns, and each post two blocks of memory.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, compared in nanoseconds.
  ///   - report: Runs on the loop's thread, right behind the call that was slow. Keep it short.
  /// - Throws: ``UVError/Code/invalidArgument`` for a threshold of zero or less; ``UVError/Code/loopClosed`` once
  ///   shutdown has begun.
  ///
  /// > Isolation: Call it from any thread. What runs on the loop at that moment, the caller itself for instance, is not
  /// reported. What was posted before is reported as if it had not waited.
  ///
  /// > Ownership: The loop keeps `report` until ``stopReportingSlowCalls()``, or its end.
  public nonisolated func reportSlowCalls(
    over threshold: Duration, _ report: @escaping @Sendable (SlowCall) -> Void
  ) throws(UVError) {
    if threshold <= .zero {
      throw UVError(
        .invalidArgument, call: "reportSlowCalls",
        "A threshold of \(threshold.text) would report everything: it must be greater than zero.")
    }
    try requireRunning("reportSlowCalls")
    requireOwnProcess()
    monitor.reportSlowCalls(over: threshold, report)
  }

  /// Ends the reports. Twice is once.
  ///
  /// > Isolation: Call it from any thread. A report that is under way ends.
  public nonisolated func stopReportingSlowCalls() {
    requireOwnProcess()
    monitor.reportSlowCalls(over: .zero, nil)
  }
}
