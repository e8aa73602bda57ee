public import CoreMetrics
import Synchronization
public import UVLoop

/// What a loop does, in the instruments of swift-metrics.
///
/// ```swift
/// let loop = try EventLoop(.init(name: "server", metrics: true))
/// try LoopInstruments(of: loop).report(every: .seconds(10))
/// ```
///
/// Each instrument has the dimension `loop` with the loop's name, so that loops in one process want names of their own.
/// Labels begin with `uvloop_`:
///
/// | label | instrument | value |
/// |---|---|---|
/// | `iterations`, `jobs`, `posts`, `wakes`, `spins`, `timers_fired`, `callbacks` | counter | since the last report |
/// | `bytes_read`, `bytes_written` | counter | bytes of the loop's streams since the last report |
/// | `connections_accepted`, `accept_back_offs` | counter | of its listeners, likewise |
/// | `queued` | gauge | what waits to run on the loop |
/// | `offloads_queued`, `offloads_running` | gauge | offloaded calls of the loop, on whatever pool |
/// | `utilisation` | gauge | the share of the time since the last report that the loop was at work, from 0 to 1 |
/// | `lag_seconds` | gauge | how long iterations kept the loop, since the last report |
/// | `offload_wait_seconds`, `offload_run_seconds` | gauge | how long offloaded calls waited and ran, likewise |
///
/// `LoopMetrics` says what these mean. The first report counts since the loop was made. The last four are there only
/// where the loop was made with `Options.metrics`. Those in seconds have the dimension `quantile`, which is `0.5`,
/// `0.99` or `1`, the longest; they are at most 6 % too long, and zero if there was nothing to measure.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > Ownership: The instruments keep the loop. A loop that nothing but its reports keeps goes on, until `shutdown`.
public final class LoopInstruments: Sendable {
  private let loop: EventLoop
  private let counters: [(instrument: Counter, value: Member<Int>)]
  private let levels: [(instrument: Gauge, value: Member<Int>)]
  /// Nil where the loop does not measure.
  private let utilisation: Gauge?
  private let latencies: [(gauges: PercentileGauges, histogram: Member<LatencyHistogram>)]
  private let last = Mutex<LoopMetrics?>(nil)

  private typealias Member<Value> = any KeyPath<LoopMetrics, Value> & Sendable

  /// Makes the instruments, and reports nothing yet.
  ///
  /// - Parameters:
  ///   - loop: The loop that they are about. One that has shut down can be reported, too.
  ///   - dimensions: More dimensions for each of the instruments.
  ///   - factory: Who makes them; the one that is current here unless given.
  public init(
    of loop: EventLoop, dimensions: [(String, String)] = [], factory: any MetricsFactory = MetricsSystem.factory
  ) {
    let dimensions = [("loop", loop.name)] + dimensions
    func gauge(_ label: String) -> Gauge {
      Gauge(label: "uvloop_\(label)", dimensions: dimensions, factory: factory)
    }
    func counter(_ label: String) -> Counter {
      Counter(label: "uvloop_\(label)", dimensions: dimensions, factory: factory)
    }
    func percentiles(_ label: String) -> PercentileGauges { PercentileGauges(label, dimensions, factory) }

    self.loop = loop
    counters = [
      (counter("iterations"), \.iterations), (counter("jobs"), \.jobs), (counter("posts"), \.posts),
      (counter("wakes"), \.wakes), (counter("spins"), \.spins), (counter("timers_fired"), \.timersFired),
      (counter("callbacks"), \.callbacks),
      (counter("bytes_read"), \.bytesRead), (counter("bytes_written"), \.bytesWritten),
      (counter("connections_accepted"), \.connectionsAccepted), (counter("accept_back_offs"), \.acceptBackOffs),
    ]
    levels = [
      (gauge("queued"), \.queued), (gauge("offloads_queued"), \.offloadsQueued),
      (gauge("offloads_running"), \.offloadsRunning),
    ]
    let isMeasured = loop.metrics.idle != nil
    utilisation = isMeasured ? gauge("utilisation") : nil
    self.latencies =
      isMeasured
      ? [
        (percentiles("lag"), \.lag), (percentiles("offload_wait"), \.offloadWait),
        (percentiles("offload_run"), \.offloadRun),
      ] : []
  }

  /// Reports once: what has happened since the last report, and what is now.
  ///
  /// From another thread than the loop's it works also while the loop is blocked. After shutdown it reports what had
  /// been done by then.
  ///
  /// - Complexity: O(n) in the n offloaded calls that wait; about forty calls of the backend where the loop measures.
  ///
  /// > Isolation: Call it from any thread. Two calls at the same time report one after the other.
  public func report() {
    // The lock is held for as long as the backend takes, or an older level might come last.
    last.withLock { last in
      let now = loop.metrics
      for (instrument, value) in counters {
        instrument.increment(by: now[keyPath: value] - (last?[keyPath: value] ?? 0))
      }
      for (instrument, value) in levels { instrument.record(now[keyPath: value]) }
      if let share = now.utilisation(since: last) { utilisation?.record(share) }
      for (gauges, histogram) in latencies {
        gauges.record(now[keyPath: histogram], since: last?[keyPath: histogram])
      }
      last = now
    }
  }

  /// Reports at an interval, in a task of the loop, until the loop shuts down or the task is cancelled; and once more
  /// then, so that nothing is missing from the counters but the end itself.
  ///
  /// The reports are work of the loop, too, and counted. While the loop is blocked none comes, and those that were
  /// missed are not made up for: the next one counts for all.
  ///
  /// - Parameter interval: More than zero, in nanoseconds of the loop's time. The first report comes one interval from
  ///   now.
  /// - Returns: The task. Cancel it to end the reports.
  /// - Throws: `UVError` with the code `invalidArgument` for an interval of zero or less. Once shutdown has begun there
  ///   is nothing but the last report.
  ///
  /// > Isolation: Call it from any thread. The backend is called on the loop's thread: one that blocks, blocks the
  /// loop.
  ///
  /// > Cancellation: Of the returned task, ends the reports; of the task that calls this, is ignored.
  ///
  /// > Ownership: The task keeps the instruments, and with them the loop.
  @discardableResult
  public func report(every interval: Duration) throws(UVError) -> Task<Void, Never> {
    try loop.reports(every: interval) { self.report() }
  }

  /// Tells the backend that the instruments will not be used again, so that it may forget them and their values.
  ///
  /// Nobody does that by itself, since a backend gives the same instrument to all who ask for the same label and
  /// dimensions: what one of them destroys is gone for the others. Call it after the last report.
  ///
  /// > Isolation: Call it from any thread.
  public func destroy() {
    for (instrument, _) in counters { instrument.destroy() }
    for (instrument, _) in levels { instrument.destroy() }
    utilisation?.destroy()
    for (gauges, _) in latencies { gauges.destroy() }
  }
}

extension EventLoop {
  /// Calls `report` at an interval, and once more at the end of the loop or of the task.
  nonisolated func reports(every interval: Duration, _ report: @escaping @Sendable () -> Void) throws(UVError) -> Task<
    Void, Never
  > {
    let ticks = try ticks(every: interval)
    return task(name: "metrics") { _ in
      do {
        for try await _ in ticks { report() }
      } catch {
        // Nothing but the end of the loop, which is the end of the reports.
      }
      report()
    }
  }
}
