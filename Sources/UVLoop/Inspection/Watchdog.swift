// It asks the loop for a sign of life, and waits:
//
//   asking ──the loop answers──▶ resting, for half the threshold ──▶ asking
//      └──no answer within the threshold──▶ reports, and waits on; again at twice, four times, … the threshold
//
// A loop that sleeps in its poll is woken by the question and answers, so that nobody has to know whether it sleeps;
// and code of a C neighbour that blocks inside the poll keeps it from answering, as anything does.

/// Notices, from a thread of its own, that a loop is blocked.
final class Watchdog: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let loop: LoopCore
  private let monitor: LoopMonitor
  private let threshold: Int64
  /// Nil at the end.
  private var report: (@Sendable (Stall) -> Void)?
  /// Nil where the stack of another thread cannot be read.
  private let sampler: StackSampler?
  private let lock = Lock()
  private var sampled: SampledThread?
  private var asked = 0
  private var answered = 0
  private var hasEnded = false

  init(
    on loop: LoopCore, _ monitor: LoopMonitor, over threshold: Duration, _ sampler: StackSampler?,
    _ report: @escaping @Sendable (Stall) -> Void
  ) {
    self.loop = loop
    self.monitor = monitor
    self.threshold = threshold.saturatingNanoseconds
    self.sampler = sampler
    self.report = report
  }

  // MARK: On any thread

  func begin() throws(UVError) { try DetachedThread.start(named: "uv-watchdog") { self.watch() } }

  /// Makes the loop's thread take the signal, which only that thread can say. Once the watchdog before this one has
  /// ended: its end makes the thread block the signal again.
  func openSignal() {
    guard let sampler else { return }
    loop.onLoop {
      self.lock.withLock {
        if !self.hasEnded && self.sampled == nil { self.sampled = SampledThread(takes: sampler.signal) }
      }
    }
  }

  /// On the loop's own thread, at its end, the signal is closed before this returns. The report is let go of
  /// here, and not when the watching thread has come to its end: it may hold the loop.
  func end() {
    let (sampled, report) = lock.withLock {
      hasEnded = true
      lock.wakeAll()
      return (self.sampled, self.report.take())
    }
    if let sampled, !loop.onLoop({ sampled.close() }) { sampled.close() }
    _ = consume report
  }

  // MARK: On the loop

  private func answer(_ number: Int) {
    lock.withLock {
      answered = number
      lock.wakeAll()
    }
  }

  // MARK: On the watchdog's thread

  private func watch() {
    while ask() {
      let asked = MonotonicClock.now()
      var limit = threshold
      while !hasAnswer(at: asked.saturatingAdding(limit)) {
        if lock.withLock({ hasEnded }) { return }
        report(since: asked)
        limit = limit.saturatingAdding(limit)
      }
      if rest(until: MonotonicClock.now().saturatingAdding(threshold / 2)) { return }
    }
  }

  /// False once there is no loop to ask.
  private func ask() -> Bool {
    let number = lock.withLock {
      asked += 1
      return asked
    }
    return loop.enqueue { self.answer(number) }
  }

  /// Waits for the answer; true without one at the end of the watch.
  private func hasAnswer(at deadline: Int64) -> Bool {
    lock.withLock {
      while answered < asked && !hasEnded {
        if !lock.wait(until: deadline) { return answered == asked }
      }
      return answered == asked
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

  private func report(since asked: Int64) {
    let running = monitor.current
    let sampled = lock.withLock { self.sampled }
    let stack = sampled.flatMap { sampler?.sample($0, within: .milliseconds(100)) } ?? []
    let now = MonotonicClock.now()
    // What has ended meanwhile is not what the stack shows.
    let report = lock.withLock { answered < self.asked ? self.report : nil }
    report?(
      Stall(
        loop: loop.name, thread: LoopSnapshot.Thread(loop.thread.identity),
        lasted: .nanoseconds(now - min(asked, running?.began ?? asked)),
        running: running.map { LoopSnapshot.Running($0, at: now) }, stack: StackTrace(stack)))
  }
}

extension EventLoop {
  // MARK: On any thread

  /// Watches the loop from a thread of its own, and reports while it lasts that the loop has been blocked for
  /// `threshold`.
  ///
  /// ```swift
  /// try loop.startWatchdog(over: .milliseconds(200)) { print($0) }
  /// ```
  ///
  /// A report says what runs and shows the stack of the loop's thread at that moment, with the blocking function in it.
  /// It comes once for each doubling: after the threshold, after twice, four times as much. A loop that sleeps because
  /// it has nothing to do is never reported; it is woken for a moment every half threshold. A second call replaces the
  /// first.
  ///
  /// The stack is read by a signal to the loop's thread, which interrupts what it waits for: a `usleep` returns early
  /// then, and a `read` goes on. Without a block no signal is sent. A loop that is blocked before the watch begins is
  /// reported without a stack: its thread has not yet said that it takes the signal.
  ///
  /// - Parameters:
  ///   - threshold: More than zero, in nanoseconds. Noticed within half as much again.
  ///   - signal: One that the program does not use and has left at its default; the watchdogs of a process may share
  ///     it. The default, `SIGURG`, is ignored by default, so that it harms nobody.
  ///   - report: Runs on the watchdog's thread.
  /// - Throws: ``UVError/Code/invalidArgument`` for a threshold of zero or less, and for a signal that cannot be used;
  ///   ``UVError/Code/busy`` for one that the program uses; ``UVError/Code/loopClosed`` once shutdown has begun;
  ///   ``UVError/Code/resourceTemporarilyUnavailable`` when the thread cannot be created. Where it throws, a watchdog
  ///   that was there goes on.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Ownership: The watchdog keeps `report`, and ends with ``stopWatchdog()`` or with the loop.
  public nonisolated func startWatchdog(
    over threshold: Duration, signal: Signal = .urgentData, _ report: @escaping @Sendable (Stall) -> Void
  ) throws(UVError) {
    if threshold <= .zero {
      throw UVError(
        .invalidArgument, call: "startWatchdog",
        "A threshold of \(threshold.text) would call every loop blocked: it must be greater than zero.")
    }
    try requireRunning("startWatchdog")
    requireOwnProcess()
    try monitor.startWatchdog(on: core, over: threshold, signal, report)
  }

  /// Ends the watch. Twice is once.
  ///
  /// > Isolation: Call it from any thread. A report that is under way ends.
  public nonisolated func stopWatchdog() {
    requireOwnProcess()
    monitor.setWatchdog(nil)
  }
}

extension LoopMonitor {
  // MARK: On any thread

  func startWatchdog(
    on loop: LoopCore, over threshold: Duration, _ signal: Signal, _ report: @escaping @Sendable (Stall) -> Void
  ) throws(UVError) {
    var sampler: StackSampler?
    do throws(UVError) {
      sampler = try StackSampler(signal, for: "startWatchdog")
    } catch {
      if error.code != .notSupported { throw error }
    }
    let watchdog = Watchdog(on: loop, self, over: threshold, sampler, report)
    try watchdog.begin()
    setWatchdog(watchdog)
    watchdog.openSignal()
  }
}
