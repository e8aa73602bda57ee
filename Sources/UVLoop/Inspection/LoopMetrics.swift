/// What a loop has done since it began, as ``EventLoop/metrics`` tells.
///
/// A plain value. For rates take two and compare: ``utilisation(since:)``, ``LatencyHistogram/since(_:)``.
public struct LoopMetrics: Sendable, Codable {
  /// Since the loop was made.
  public let elapsed: Duration
  /// Passes of libuv's loop that have come through their poll.
  public let iterations: Int
  /// Polls begun: one more than iterations while the loop polls.
  public let polls: Int
  /// Closures and parts of tasks that have begun to run.
  public let jobs: Int
  /// Closures, jobs and messages that came from other threads.
  public let posts: Int
  /// How often another thread had to wake the loop.
  public let wakes: Int
  /// How often the loop has spun before it went to sleep; zero without ``EventLoop/Options/spin``.
  public let spins: Int
  /// Sleeps, scheduled calls and time limits whose time has come.
  public let timersFired: Int
  /// Callbacks of handles.
  public let callbacks: Int
  /// Bytes that streams have read from their sockets, and those of datagrams that were received.
  public let bytesRead: Int
  /// Bytes that the kernel has taken from streams, and those of datagrams that were sent.
  public let bytesWritten: Int
  /// Connections that listeners have accepted.
  public let connectionsAccepted: Int
  /// How often a listener has stopped for a while, for want of a descriptor.
  public let acceptBackOffs: Int
  /// What waits to run now.
  public let queued: Int
  /// Offloaded calls that wait now, for libuv's pool, another one or a place in a lane.
  public let offloadsQueued: Int
  /// Offloaded calls that run now, on whatever pool.
  public let offloadsRunning: Int

  /// How long the loop has waited in its poll; nil without ``EventLoop/Options/metrics``.
  ///
  /// > libuv: `uv_metrics_idle_time`.
  public let idle: Duration?
  /// How long each iteration kept the loop from looking for what had come: by so much everything may be late. Empty
  /// without ``EventLoop/Options/metrics``.
  public let lag: LatencyHistogram
  /// How long offloaded calls have waited for a worker of libuv's pool; of others
  /// ``OffloadPool/Statistics-swift.struct`` tells. Empty without ``EventLoop/Options/metrics``.
  public let offloadWait: LatencyHistogram
  /// How long offloaded calls have run there; each is counted a moment after its caller goes on. Empty without
  /// ``EventLoop/Options/metrics``.
  public let offloadRun: LatencyHistogram

  /// How long the loop was at work; nil without ``EventLoop/Options/metrics``.
  public var busy: Duration? { idle.map { max(.zero, elapsed - $0) } }

  /// The share of the time that the loop was at work, from 0 to 1; nil without ``EventLoop/Options/metrics``, and if no
  /// time has passed.
  ///
  /// - Parameter earlier: A value of the same loop; without it since the loop was made.
  public func utilisation(since earlier: LoopMetrics? = nil) -> Double? {
    guard let busy else { return nil }
    let span = elapsed - (earlier?.elapsed ?? .zero)
    if span <= .zero { return nil }
    return min(1, max(0, (busy - (earlier?.busy ?? .zero)) / span))
  }
}

extension EventLoop {
  /// What the loop has done so far.
  ///
  /// After shutdown it says what had been done by then, with nothing queued or running.
  ///
  /// - Complexity: O(1), and O(n) in the n offloaded calls of the process that wait and run.
  ///
  /// > Isolation: Call it from any thread, also while the loop is blocked. The numbers are read one after the other:
  /// they agree with each other when the loop itself reads them.
  public nonisolated var metrics: LoopMetrics {
    requireOwnProcess()
    let uptime = core.observation.uptime
    let (wakes, posts) = core.inbox.counts
    let times = monitor.offloadQueue.map { OffloadScheduler.process.times(of: $0) } ?? OffloadTimes()
    // What a shutdown has left behind is named in its report.
    let offloads =
      core.life.state == .stopped ? ([], []) : OffloadScheduler.process.calls(of: core, monitor.offloadQueue)
    return LoopMetrics(
      elapsed: .nanoseconds(uptime.elapsed), iterations: core.counters.iterations.value,
      polls: core.counters.polls.value,
      jobs: core.counters.jobs.value, posts: posts, wakes: wakes, spins: core.inbox.spin?.spins ?? 0,
      timersFired: core.counters.timers.value,
      callbacks: core.counters.callbacks.value, bytesRead: core.counters.bytesRead.value,
      bytesWritten: core.counters.bytesWritten.value, connectionsAccepted: core.counters.accepts.value,
      acceptBackOffs: core.counters.acceptBackOffs.value,
      queued: core.life.state == .stopped ? 0 : core.queue.count,
      offloadsQueued: offloads.1.count, offloadsRunning: offloads.0.count,
      idle: uptime.isIdleMeasured ? .nanoseconds(uptime.idle) : nil,
      lag: monitor.lagSoFar, offloadWait: times.waits, offloadRun: times.runs)
  }
}
