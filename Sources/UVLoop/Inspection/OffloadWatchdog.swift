// It looks twice within each threshold:
//
//   in time ──the first in line has waited for the threshold──▶ late ──and is so at twice, four times, …──▶ late
//      ▲                                                         │ each time a report
//      └─────────the first in line has not waited so long────────┘

/// Notices, from a thread of its own, that calls wait long for a pool or a thread.
///
/// It keeps what it watches, and that keeps it, until one of the two has ended.
final class OffloadWatchdog: WorkerObserver, @unchecked Sendable {
  // Holds because every variable is guarded by `lock`.
  /// A thread that runs something. A sample and its end exclude each other: it may end right afterwards.
  private final class Watched: Sendable {
    let identity = ThreadIdentity.current
    /// What it runs since then: an actor's thread is told by its executor, whatever job it is.
    let since: Int64
    private let sampled: SampledThread?
    private let lock = Lock()

    init(since: Int64, by sampler: StackSampler?) {
      self.since = since
      sampled = sampler.map { SampledThread(takes: $0.signal) }
    }

    func sample(by sampler: StackSampler) -> [UInt] {
      guard let sampled else { return [] }
      return lock.withLock { sampler.sample(sampled, within: .milliseconds(100)) } ?? []
    }

    func close() { lock.withLock { sampled?.close() } }
  }

  /// Since when a line is late, and how late it must be for the next report.
  private struct Late {
    let since: Int64
    var limit: Int64
  }

  private let work: any WatchedWork
  private let threshold: Int64
  /// Nil where the stack of another thread cannot be read.
  private let sampler: StackSampler?
  private let lock = Lock()
  /// Nil at the end.
  private var report: (@Sendable (OffloadStall) -> Void)?
  private var threads: [ObjectIdentifier: Watched] = [:]
  private var hasEnded = false
  /// How many stacks a report has at most.
  private static let stackLimit = 16

  private init(
    on work: any WatchedWork, over threshold: Duration, _ sampler: StackSampler?,
    _ report: @escaping @Sendable (OffloadStall) -> Void
  ) {
    self.work = work
    self.threshold = threshold.saturatingNanoseconds
    self.sampler = sampler
    self.report = report
  }

  // MARK: On any thread

  /// The one before it ends.
  static func start(
    on work: any WatchedWork, _ call: String, over threshold: Duration, _ signal: Signal,
    _ report: @escaping @Sendable (OffloadStall) -> Void
  ) throws(UVError) {
    if threshold <= .zero {
      throw UVError(
        .invalidArgument, call: call,
        "A threshold of \(threshold.text) would call every wait long: it must be greater than zero.")
    }
    var sampler: StackSampler?
    do throws(UVError) {
      sampler = try StackSampler(signal, for: call)
    } catch {
      if error.code != .notSupported { throw error }
    }
    let watchdog = OffloadWatchdog(on: work, over: threshold, sampler, report)
    try DetachedThread.start(named: "uv-watchdog") { watchdog.watch() }
    do throws(UVError) {
      try work.observe(with: watchdog)?.end()
    } catch {
      watchdog.end()
      throw error
    }
  }

  static func stop(on work: any WatchedWork) {
    // It refuses no end.
    try? work.observe(with: nil)?.end()
  }

  func end() {
    let last = lock.withLock {
      hasEnded = true
      lock.wakeAll()
      return report.take()
    }
    _ = consume last
  }

  // MARK: On a worker

  func willRun(_ work: AnyObject, since: Int64) {
    let thread = Watched(since: since, by: sampler)
    lock.withLock { threads[ObjectIdentifier(work)] = thread }
  }

  func didRun(_ work: AnyObject) {
    lock.withLock { threads.removeValue(forKey: ObjectIdentifier(work)) }?.close()
  }

  // MARK: On the watchdog's thread

  private func watch() {
    var late: [ObjectIdentifier: Late] = [:]
    while !rest(until: MonotonicClock.now().saturatingAdding(max(1, threshold / 2))) {
      let before = late
      late = [:]
      for load in work.loads {
        let now = MonotonicClock.now()
        guard let oldest = load.oldest, now - oldest >= threshold else { continue }
        var line = before[load.id] ?? Late(since: oldest, limit: threshold)
        if now - line.since >= line.limit {
          // One report for all that it has missed.
          while now - line.since >= line.limit { line.limit = line.limit.saturatingAdding(line.limit) }
          tell(of: load, waited: .nanoseconds(now - oldest))
        }
        late[load.id] = line
      }
    }
  }

  /// True at the end of the watch.
  private func rest(until deadline: Int64) -> Bool {
    lock.withLock {
      while !hasEnded {
        if !lock.wait(until: deadline) { return hasEnded }
      }
      return true
    }
  }

  private func tell(of load: WorkLoad, waited: Duration) {
    let running = load.running.enumerated().map { index, running in
      describe(running, takingSample: index < OffloadWatchdog.stackLimit)
    }
    // What has gone on meanwhile is not what the stacks show.
    let isLate = work.loads.contains { $0.id == load.id && $0.oldest.map { $0 <= load.oldest ?? 0 } == true }
    let report = lock.withLock { isLate ? self.report : nil }
    report?(
      OffloadStall(work: work.title, lane: load.lane, waited: waited, queued: load.queued, running: running))
  }

  private func describe(_ running: WorkLoad.Running, takingSample: Bool) -> OffloadStall.Job {
    let id = ObjectIdentifier(running.work)
    func thread() -> Watched? { lock.withLock { threads[id] }.flatMap { $0.since == running.since ? $0 : nil } }
    let before = thread()
    let addresses = takingSample ? sampler.flatMap { before?.sample(by: $0) } ?? [] : []
    var note = BlockedWork.process.note(of: id)
    // It has not ended meanwhile: then all of this is about the same call.
    let watched = thread() === before ? before : nil
    if watched == nil && before != nil { note = nil }
    return OffloadStall.Job(
      label: running.label ?? note?.task, age: .nanoseconds(max(0, MonotonicClock.now() - running.since)),
      thread: watched.map { LoopSnapshot.Thread($0.identity) }, waitsIn: note?.wait,
      stack: StackTrace(watched == nil ? [] : addresses))
  }
}

extension OffloadPool {
  /// Watches the pool from a thread of its own, and reports while it lasts that the first call in line has waited for
  /// `threshold`.
  ///
  /// ```swift
  /// try database.startWatchdog(over: .seconds(1)) { print($0) }
  /// ```
  ///
  /// A report says what has the threads, for how long, and shows their stacks. It comes once for each doubling: when
  /// the calls have been late for the threshold, for twice, four times as much, until one gets a thread in time. A call
  /// that runs for long while nobody waits is not reported: to block is what a pool is for. A second call replaces the
  /// first.
  ///
  /// Stacks are read by a signal to the threads, which take that signal while they run something; see
  /// ``EventLoop/startWatchdog(over:signal:_:)``. To know who runs where costs each call some microseconds, and a call
  /// that ends while its stack is read waits for that.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: One that the program does not use and has left at its default; the watchdogs of a process may share
  ///     it.
  ///   - report: Runs on the watchdog's thread.
  /// - Throws: ``UVError/Code/invalidArgument`` for a threshold of zero or less, and for a signal that cannot be used;
  ///   ``UVError/Code/busy`` for one that the program uses; ``UVError/Code/poolClosed`` once the pool has been shut
  ///   down; ``UVError/Code/resourceTemporarilyUnavailable`` when the thread cannot be created. Where it throws, a
  ///   watchdog that was there goes on.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Ownership: The watchdog keeps `report`, and ends with ``stopWatchdog()`` or with the pool: one that keeps the
  /// pool itself lets it end by a shutdown only. What runs then keeps its thread's signal open until it ends.
  public func startWatchdog(
    over threshold: Duration, signal: Signal = .urgentData, _ report: @escaping @Sendable (OffloadStall) -> Void
  ) throws(UVError) {
    core.requireOwnProcess()
    try OffloadWatchdog.start(on: core, "OffloadPool.startWatchdog", over: threshold, signal, report)
  }

  /// Ends the watch. Twice is once.
  ///
  /// > Isolation: Call it from any thread. A report that is under way ends.
  public func stopWatchdog() { OffloadWatchdog.stop(on: core) }
}

extension OffloadThread {
  /// Watches the thread from another one, and reports while it lasts that the first job in line has waited for
  /// `threshold`.
  ///
  /// It is ``OffloadPool/startWatchdog(over:signal:_:)`` for one thread. A method that blocks in `runBlocking` until
  /// another method of the same thread has run shows here: the report names the thread, the task, the `runBlocking` in
  /// which it waits, and how many jobs wait for it.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: One that the program does not use and has left at its default.
  ///   - report: Runs on the watchdog's thread.
  /// - Throws: What ``OffloadPool/startWatchdog(over:signal:_:)`` throws.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Ownership: The watchdog keeps `report`, and ends with ``stopWatchdog()`` or with the thread.
  public func startWatchdog(
    over threshold: Duration, signal: Signal = .urgentData, _ report: @escaping @Sendable (OffloadStall) -> Void
  ) throws(UVError) {
    core.requireOwnProcess()
    try OffloadWatchdog.start(on: core, "OffloadThread.startWatchdog", over: threshold, signal, report)
  }

  /// Ends the watch. Twice is once.
  ///
  /// > Isolation: Call it from any thread. A report that is under way ends.
  public func stopWatchdog() { OffloadWatchdog.stop(on: core) }
}

extension ThreadPool {
  /// Watches libuv's pool and its lanes from a thread of its own, and reports while it lasts that the first offloaded
  /// call in line has waited for `threshold`, for a worker or for a place in its lane.
  ///
  /// It is ``OffloadPool/startWatchdog(over:signal:_:)`` for the pool that all loops share. What C code, names and
  /// files do on it is not seen.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: One that the program does not use and has left at its default.
  ///   - report: Runs on the watchdog's thread.
  /// - Throws: What ``OffloadPool/startWatchdog(over:signal:_:)`` throws, but for `poolClosed`.
  ///
  /// > Ownership: The watchdog keeps `report`, until ``stopWatchdog()``.
  public static func startWatchdog(
    over threshold: Duration, signal: Signal = .urgentData, _ report: @escaping @Sendable (OffloadStall) -> Void
  ) throws(UVError) {
    try OffloadWatchdog.start(on: OffloadScheduler.process, "ThreadPool.startWatchdog", over: threshold, signal, report)
  }

  /// Ends the watch. Twice is once. A report that is under way ends.
  public static func stopWatchdog() { OffloadWatchdog.stop(on: OffloadScheduler.process) }
}
