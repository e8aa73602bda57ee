import Foundation
import UVLoop

/// Watches a loop from other threads: it counts, takes snapshots, and remembers the last stall.
final class LoopWatch: @unchecked Sendable {  // Holds because every variable is guarded by `condition`.
  private let loop: EventLoop
  private let condition = NSCondition()
  private var stall: LoopView.Stall?
  /// Of the last second, the oldest first: rates and percentiles are of about so long.
  private var history: [LoopMetrics]

  init(_ loop: EventLoop) {
    self.loop = loop
    history = [loop.metrics]
  }

  /// From now on stalls are noticed.
  func begin(over threshold: Duration) throws {
    try loop.startWatchdog(over: threshold) { stall in
      // Looks up the names, which takes some milliseconds: better on the watchdog's thread.
      let seen = LoopView.Stall(stall)
      self.note { $0 = seen }
    }
    try loop.reportSlowCalls(over: threshold) { call in
      // It has ended: now it is known how long it took.
      self.note { if $0?.label == call.label && $0?.end == nil { $0?.end = (call.ran, .now) } }
    }
  }

  private func note(_ change: (inout LoopView.Stall?) -> Void) {
    condition.lock()
    change(&stall)
    condition.broadcast()
    condition.unlock()
  }

  /// Blocks the calling thread until a stall has been seen.
  func waitForStall(until end: ContinuousClock.Instant) {
    condition.lock()
    defer { condition.unlock() }
    while stall == nil {
      let limit = ContinuousClock.now.duration(to: end)
      if limit <= .zero || !condition.wait(until: Date(timeIntervalSinceNow: limit / .seconds(1))) { return }
    }
  }

  /// What the loop does now, while it is blocked, too.
  func view() throws -> LoopView {
    let snapshot = try snapshot()
    let metrics = loop.metrics
    condition.lock()
    defer { condition.unlock() }
    while history.count > 1 && metrics.elapsed - history[1].elapsed >= .seconds(1) { history.removeFirst() }
    let earlier = history[0]
    history.append(metrics)
    return LoopView(thread: loop.thread, snapshot: snapshot, metrics: metrics, earlier: earlier, stall: stall)
  }

  private func snapshot() throws -> LoopSnapshot {
    do {
      return try loop.snapshotFromOutside()
    } catch {
      if error.code != .notSupported { throw error }
      // Here it has to be asked, and answers when it is free.
      return try loop.runBlocking { loop in loop.snapshot() }
    }
  }
}
