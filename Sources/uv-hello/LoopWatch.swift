import Foundation
import UVLoop

/// Watches a loop from other threads: it counts, takes snapshots, and remembers the last stall.
final class LoopObservation: @unchecked Sendable {  // Holds because every variable is guarded by `condition`.
  private let loop: EventLoop
  private let condition = NSCondition()
  private var stall: LoopView.Stall?
  /// The last slow call: it may end while the names of a stack are looked up.
  private var slowCall: (label: String?, ran: Duration, end: ContinuousClock.Instant)?
  /// Of the last second, the oldest first: rates and percentiles are of about so long.
  private var history: [LoopMetrics]

  init(_ loop: EventLoop) {
    self.loop = loop
    history = [loop.metrics]
  }

  /// From now on stalls are noticed.
  func begin(over threshold: Duration) throws {
    try loop.startWatchdog(over: threshold) { stall in
      let began = ContinuousClock.now - stall.lasted
      // Looks up the names, which takes some milliseconds: better here, on the watchdog's thread.
      let seen = LoopView.Stall(stall)
      self.change {
        self.stall = seen
        if let call = self.slowCall, call.label == seen.label, call.end > began {
          self.stall?.end = (call.ran, call.end)
        }
      }
    }
    try loop.reportSlowCalls(over: threshold) { call in
      // Now it is known how long it took.
      let end = ContinuousClock.now
      self.change {
        self.slowCall = (call.label, call.ran, end)
        if self.stall?.label == call.label && self.stall?.end == nil { self.stall?.end = (call.ran, end) }
      }
    }
  }

  private func change(_ body: () -> Void) {
    condition.lock()
    body()
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
