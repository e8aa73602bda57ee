public import Logging
public import UVLoop

extension EventLoop {
  /// Logs each closure, part of a task, scheduled call or callback of a handle that runs for `threshold` or longer.
  ///
  /// ```swift
  /// try loop.logSlowCalls(over: .milliseconds(50), to: Logger(label: "loop"))
  /// ```
  ///
  /// A line comes when the call has ended. Its metadata:
  ///
  /// | key | value |
  /// |---|---|
  /// | `loop` | the loop's name |
  /// | `kind` | what kind of thing ran, such as `task` or `TimerHandle` |
  /// | `label` | the name of the task; missing where there is none |
  /// | `waited` | how long it had waited before it ran, a `Duration` in nanoseconds |
  /// | `ran` | how long it ran, likewise |
  /// | `site` | where it came from, a list of frames, the innermost first; only in debug mode |
  ///
  /// This is `reportSlowCalls(over:_:)` with a report that logs: a second call of either replaces the first, and
  /// `stopReportingSlowCalls()` ends both. A level that `logger` does not log costs no more than the measuring does.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, compared in nanoseconds.
  ///   - logger: Where the lines go.
  ///   - level: The level of the lines.
  /// - Throws: `UVError` with the code `invalidArgument` for a threshold of zero or less; `loopClosed` once shutdown
  ///   has begun.
  ///
  /// > Isolation: Call it from any thread. The logger's handler runs on the loop's thread, right behind the call that
  /// was slow: one that blocks makes the loop slower still.
  ///
  /// > Ownership: The loop keeps `logger` until `stopReportingSlowCalls()`, or its end.
  public nonisolated func logSlowCalls(
    over threshold: Duration, to logger: Logger, level: Logger.Level = .warning
  ) throws(UVError) {
    try reportSlowCalls(over: threshold) { call in
      logger.log(level: level, "a call kept the loop busy", metadata: call.metadata)
    }
  }

  /// Logs from a thread of its own, while it lasts, that the loop has been blocked for `threshold`, and where it
  /// stands.
  ///
  /// ```swift
  /// try loop.logStalls(over: .milliseconds(200), to: Logger(label: "loop"))
  /// ```
  ///
  /// A line comes after the threshold, after twice, four times as much, and so on. Its metadata:
  ///
  /// | key | value |
  /// |---|---|
  /// | `loop` | the loop's name |
  /// | `thread` | the kernel's number of its thread |
  /// | `lasted` | for how long it has been blocked so far, a `Duration` in nanoseconds |
  /// | `kind` | what kind of thing runs; missing where nobody knows |
  /// | `label` | the name of the task that runs; missing where there is none |
  /// | `ran` | for how long that has run so far, likewise a `Duration` |
  /// | `stack` | where the loop's thread stands, a list of frames, the innermost first; missing without an answer |
  ///
  /// This is `startWatchdog(over:signal:_:)` with a report that logs, and does what is said there to what the thread
  /// waits for: a second call of either replaces the first, and `stopWatchdog()` ends both.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: What asks the thread where it stands: one that the program does not use.
  ///   - logger: Where the lines go.
  ///   - level: The level of the lines.
  /// - Throws: `UVError` with the code `invalidArgument` for a threshold of zero or less, and for a signal that cannot
  ///   be used; `busy` for one that the program uses; `loopClosed` once shutdown has begun;
  ///   `resourceTemporarilyUnavailable` when the thread cannot be created. Where it throws, a watchdog that was there
  ///   goes on.
  ///
  /// > Isolation: Call it from any thread. The logger's handler runs on the watchdog's thread, and may block.
  ///
  /// > Ownership: The watchdog keeps `logger`, and ends with `stopWatchdog()` or with the loop.
  public nonisolated func logStalls(
    over threshold: Duration, signal: Signal = .urgentData, to logger: Logger, level: Logger.Level = .error
  ) throws(UVError) {
    try startWatchdog(over: threshold, signal: signal) { stall in
      logger.log(level: level, "the loop is blocked", metadata: stall.metadata)
    }
  }
}

extension OffloadPool {
  /// Logs from a thread of its own, while it lasts, that calls wait for the pool for `threshold`, and what holds its
  /// threads.
  ///
  /// ```swift
  /// try database.logStalls(over: .seconds(1), to: Logger(label: "db"))
  /// ```
  ///
  /// A line comes after the threshold, after twice, four times as much, and so on. Its metadata:
  ///
  /// | key | value |
  /// |---|---|
  /// | `work` | what calls wait for, such as `pool "db"` |
  /// | `waited` | for how long the first in line has, a `Duration` in nanoseconds |
  /// | `queued` | how many wait |
  /// | `running` | what has the threads, a list: label, age, thread and stack of each |
  ///
  /// This is `startWatchdog(over:signal:_:)` with a report that logs: a second call of either replaces the first, and
  /// `stopWatchdog()` ends both. For an actor's thread and for libuv's pool call theirs, with a report of your own.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: What asks the threads where they stand: one that the program does not use.
  ///   - logger: Where the lines go.
  ///   - level: The level of the lines.
  /// - Throws: `UVError` with the code `invalidArgument` for a threshold of zero or less, and for a signal that cannot
  ///   be used; `busy` for one that the program uses; `poolClosed` once the pool has been shut down;
  ///   `resourceTemporarilyUnavailable` when the thread cannot be created.
  ///
  /// > Isolation: Call it from any thread. The logger's handler runs on the watchdog's thread, and may block.
  ///
  /// > Ownership: The watchdog keeps `logger`, and ends with `stopWatchdog()` or with the pool.
  public func logStalls(
    over threshold: Duration, signal: Signal = .urgentData, to logger: Logger, level: Logger.Level = .error
  ) throws(UVError) {
    try startWatchdog(over: threshold, signal: signal) { stall in
      logger.log(level: level, "calls wait for a thread", metadata: stall.metadata)
    }
  }
}

extension OffloadStall {
  /// Looks up the names of the stacks.
  fileprivate var metadata: Logger.Metadata {
    [
      "work": "\(work)", "waited": .stringConvertible(waited), "queued": "\(queued)",
      "running": .array(running.map { .string($0.description) }),
    ]
  }
}

extension SlowCall {
  /// Looks up the names of the site, if there is one. The logger asks for it only where it logs.
  fileprivate var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = [
      "loop": "\(loop)", "kind": "\(kind)", "waited": .stringConvertible(waited), "ran": .stringConvertible(ran),
    ]
    metadata["label"] = label.map { "\($0)" }
    metadata["site"] = site.map { .frames($0) }
    return metadata
  }
}

extension Stall {
  /// Looks up the names of the stack.
  fileprivate var metadata: Logger.Metadata {
    var metadata: Logger.Metadata = [
      "loop": "\(loop)", "thread": "\(thread.kernelID)", "lasted": .stringConvertible(lasted),
    ]
    metadata["kind"] = running.map { "\($0.kind)" }
    metadata["label"] = running?.label.map { "\($0)" }
    metadata["ran"] = running.map { .stringConvertible($0.age) }
    metadata["stack"] = stack.frames.isEmpty ? nil : .frames(stack)
    return metadata
  }
}

extension Logger.MetadataValue {
  fileprivate static func frames(_ trace: StackTrace) -> Self { .array(trace.frames.map { .string($0) }) }
}
