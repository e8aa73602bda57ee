public import CoreMetrics
import Synchronization
public import UVLoop

/// What a pool of one's own, a lane of libuv's pool or an actor's thread does, in the instruments of swift-metrics.
///
/// ```swift
/// let database = try OffloadPool(name: "db", threads: 3)
/// try OffloadInstruments(of: database).report(every: .seconds(10), on: loop)
/// ```
///
/// Each instrument has the name as a dimension, `pool`, `lane` or `thread`. Labels begin with `uvloop_pool_`,
/// `uvloop_lane_` or `uvloop_thread_`:
///
/// | label | instrument | value |
/// |---|---|---|
/// | `calls` | counter | calls, and parts of tasks, that have ended since the last report |
/// | `queued` | gauge | what waits; for a lane for a place in it |
/// | `running` | gauge | what runs; in a lane also what has a place and waits for a worker |
/// | `threads` | gauge | threads that there are; only of a pool |
/// | `wait_seconds`, `run_seconds` | gauge | how long calls waited and ran, since the last report |
///
/// The last have the dimension `quantile`, which is `0.5`, `0.99` or `1`, the longest; they are at most 6 % too long,
/// and zero if there was nothing to measure.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > Ownership: The instruments keep the pool, the lane or the thread.
public final class OffloadInstruments: Sendable {
  private struct Reading {
    let queued: Int
    let running: Int
    var threads: Int?
    let waits: LatencyHistogram
    let runs: LatencyHistogram
  }

  private let read: @Sendable () -> Reading
  private let calls: Counter
  private let queued: Gauge
  private let running: Gauge
  /// Nil where there is nothing to count.
  private let threads: Gauge?
  private let waits: PercentileGauges
  private let runs: PercentileGauges
  private let last = Mutex<Reading?>(nil)

  private init(
    _ kind: String, _ name: String, hasThreads: Bool, _ dimensions: [(String, String)], _ factory: any MetricsFactory,
    _ read: @escaping @Sendable () -> Reading
  ) {
    let dimensions = [(kind, name)] + dimensions
    func gauge(_ label: String) -> Gauge {
      Gauge(label: "uvloop_\(kind)_\(label)", dimensions: dimensions, factory: factory)
    }
    self.read = read
    calls = Counter(label: "uvloop_\(kind)_calls", dimensions: dimensions, factory: factory)
    queued = gauge("queued")
    running = gauge("running")
    threads = hasThreads ? gauge("threads") : nil
    waits = PercentileGauges("\(kind)_wait", dimensions, factory)
    runs = PercentileGauges("\(kind)_run", dimensions, factory)
  }

  /// Makes the instruments of a pool, and reports nothing yet.
  ///
  /// - Parameters:
  ///   - pool: What they are about.
  ///   - dimensions: More dimensions for each of the instruments.
  ///   - factory: Who makes them; the one that is current here unless given.
  public convenience init(
    of pool: OffloadPool, dimensions: [(String, String)] = [], factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.init("pool", pool.name, hasThreads: true, dimensions, factory) {
      let now = pool.statistics
      return Reading(
        queued: now.queued + now.waitingForRoom + now.tasksQueued, running: now.running, threads: now.threads,
        waits: now.waits, runs: now.runs)
    }
  }

  /// The same for a lane.
  public convenience init(
    of lane: OffloadLane, dimensions: [(String, String)] = [], factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.init("lane", lane.name, hasThreads: false, dimensions, factory) {
      let now = lane.statistics
      return Reading(queued: now.queued, running: now.running, waits: now.waits, runs: now.runs)
    }
  }

  /// The same for the thread of actors.
  public convenience init(
    of thread: OffloadThread, dimensions: [(String, String)] = [], factory: any MetricsFactory = MetricsSystem.factory
  ) {
    self.init("thread", thread.name, hasThreads: false, dimensions, factory) {
      let now = thread.statistics
      return Reading(queued: now.queued, running: now.running == nil ? 0 : 1, waits: now.waits, runs: now.runs)
    }
  }

  /// Reports once: what has happened since the last report, and what is now.
  ///
  /// > Isolation: Call it from any thread. Two calls at the same time report one after the other.
  public func report() {
    // The lock is held for as long as the backend takes, or an older level might come last.
    last.withLock { last in
      let now = read()
      calls.increment(by: now.runs.count - (last?.runs.count ?? 0))
      queued.record(now.queued)
      running.record(now.running)
      if let count = now.threads { threads?.record(count) }
      waits.record(now.waits, since: last?.waits)
      runs.record(now.runs, since: last?.runs)
      last = now
    }
  }

  /// Reports at an interval, in a task of a loop, until the loop shuts down or the task is cancelled; and once more
  /// then.
  ///
  /// - Parameters:
  ///   - interval: More than zero, in nanoseconds of the loop's time. The first report comes one interval from now.
  ///   - loop: Whose time it is.
  /// - Returns: The task. Cancel it to end the reports.
  /// - Throws: `UVError` with the code `invalidArgument` for an interval of zero or less. Once shutdown has begun there
  ///   is nothing but the last report.
  ///
  /// > Isolation: Call it from any thread. The backend is called on the loop's thread: one that blocks, blocks the
  /// loop.
  ///
  /// > Cancellation: Of the returned task, ends the reports; of the task that calls this, is ignored.
  ///
  /// > Ownership: The task keeps the instruments, and with them the pool.
  @discardableResult
  public func report(every interval: Duration, on loop: EventLoop) throws(UVError) -> Task<Void, Never> {
    try loop.reports(every: interval) { self.report() }
  }

  /// Tells the backend that the instruments will not be used again; see `LoopInstruments.destroy()`.
  ///
  /// > Isolation: Call it from any thread.
  public func destroy() {
    calls.destroy()
    queued.destroy()
    running.destroy()
    threads?.destroy()
    waits.destroy()
    runs.destroy()
  }
}
