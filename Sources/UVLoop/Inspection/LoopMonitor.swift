import CLibUV

// Who is where:
//   the loop's thread   tells what runs, and how each iteration goes
//   any thread          switches reports on and off, and reads

/// Everything that watches one loop.
final class LoopMonitor: LoopObserver, @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  /// What runs on the loop.
  struct Running {
    let call: LoopCall
    let began: Int64
    /// A task that says who it is while it runs.
    var name: String?

    var label: String? { name ?? call.label }
    /// Not as a difference of two numbers: what was due at the earliest moment of all is too long ago for one.
    var waited: Duration { call.since.map { max(.zero, .nanoseconds(began) - .nanoseconds($0)) } ?? .zero }
  }

  private struct SlowCallLog {
    let threshold: Int64
    let report: @Sendable (SlowCall) -> Void
  }

  private let lock = Lock()
  private var running: Running?
  private var slowCalls: SlowCallLog?
  private var watchdog: Watchdog?
  private var lag = LatencyHistogram()
  private var meter: IterationMeter?
  private var offloads: OffloadQueue?
  private var site: CallSite?
  /// The loop has ended. Anything added now would leak: a report may hold the loop, whose core holds this object.
  private var hasEnded = false
  private let name: String
  // Holds because it keeps this object, and whoever asks for something has the loop, which keeps it. A weak reference
  // would make each retain of it five times as slow.
  private unowned var observation: LoopObservation?

  init(_ name: String) { self.name = name }

  /// Called before anybody else can know the loop.
  func begin(on loop: LoopCore, _ options: EventLoop.Options) {
    lock.withLock { observation = loop.observation }
    if options.metrics {
      lock.withLock { meter = IterationMeter(loop.observation.uptime) }
      loop.observation.setInterest(.iterations, true)
    }
    if options.debug || DebugMode.isWanted {
      lock.withLock { site = CallSite.capture() }
      DebugMode.begin(self, on: loop)
    }
  }

  // MARK: On any thread

  /// What runs now; nil if nothing does, or nobody has asked for it to be noted.
  var current: Running? { lock.withLock { running } }

  var lagSoFar: LatencyHistogram { lock.withLock { lag } }

  /// Nil as long as the loop has not offloaded anything.
  var offloadQueue: OffloadQueue? { lock.withLock { offloads } }

  /// Nil ends the reports.
  func reportSlowCalls(over threshold: Duration, _ report: (@Sendable (SlowCall) -> Void)?) {
    let old = lock.withLock { () -> SlowCallLog? in
      if hasEnded { return nil }
      let old = slowCalls
      slowCalls = report.map { SlowCallLog(threshold: threshold.saturatingNanoseconds, report: $0) }
      observation?.setInterest(.calls, slowCalls != nil || watchdog != nil)
      observation?.setInterest(.sites, slowCalls != nil || site != nil)
      return old
    }
    _ = consume old
  }

  /// The one before it ends, or this one where the loop has ended. Nil leaves none.
  func setWatchdog(_ new: Watchdog?) {
    let old = lock.withLock { () -> Watchdog? in
      if hasEnded { return new }
      let old = watchdog
      watchdog = new
      observation?.setInterest(.calls, slowCalls != nil || watchdog != nil)
      return old
    }
    old?.end()
  }

  func loopWasDropped(_ sentence: String) {
    if let site = lock.withLock({ site }) {
      DebugMode.log { "\(sentence)\nUVLoop: it was made at\n\(StackTrace(site))" }
    } else {
      Posix.write("UVLoop: \(sentence)\n", to: STDERR_FILENO)
    }
  }

  // MARK: On the loop: what it tells

  func willRun(_ call: LoopCall) {
    let now = MonotonicClock.now()
    lock.withLock { running = Running(call: call, began: now) }
  }

  func identify(_ name: String?) { lock.withLock { running?.name = name } }

  func didRun() {
    let now = MonotonicClock.now()
    let (slow, call) = lock.withLock { () -> (SlowCallLog?, Running?) in
      let call = running.take()
      guard let call, let slowCalls, now - call.began >= slowCalls.threshold else { return (nil, nil) }
      return (slowCalls, call)
    }
    if let slow, let call {
      slow.report(SlowCall(call, ran: .nanoseconds(now - call.began), on: name))
    }
  }

  func didAdd(_ component: any LoopComponent) {
    guard let queue = (component as? LoopWork)?.queue else { return }
    if lock.withLock({
      offloads = queue; return meter != nil
    }) {
      OffloadScheduler.process.measureTimes(of: queue)
    }
  }

  func willPoll() {
    lock.withLock {
      if let busy = meter?.iterate() { lag.record(nanoseconds: busy) }
    }
  }

  func handleWasDropped(_ typeName: StaticString, _ site: CallSite) {
    logHandle(typeName, site, "was dropped open, and has been closed. Call close() first.")
  }

  func loopNeverWaits(_ typeName: StaticString, _ site: CallSite) {
    logHandle(
      typeName, site, "has kept the loop from waiting for more than 10 s: it takes a whole CPU until it is stopped.")
  }

  private func logHandle(_ typeName: StaticString, _ site: CallSite, _ sentence: String) {
    // Where handles come from is also known for the reports of slow calls, and then nobody has asked for this one.
    if lock.withLock({ self.site == nil }) { return }
    let article = "AI".contains(typeName.description.prefix(1)) ? "an" : "a"
    DebugMode.log { [name] in
      """
      \(article) \(typeName) of loop "\(name)" \(sentence) It was made at
      \(StackTrace(site))
      """
    }
  }

  func loopEnds() {
    let (last, _, isDebugged) = lock.withLock { () -> (Watchdog?, SlowCallLog?, Bool) in
      hasEnded = true
      observation?.setInterest(.calls, false)
      return (watchdog.take(), slowCalls.take(), site != nil)
    }
    last?.end()
    if isDebugged { DebugLog.process.close() }
  }

  func shutdownReturns() {
    if lock.withLock({ site != nil }) { DebugLog.process.flush() }
  }
}

/// How long each iteration of a loop keeps what comes from being looked at.
private struct IterationMeter {
  private let uptime: LoopUptime
  private var last: Int64
  private var lastIdle: Int64

  init(_ uptime: LoopUptime) {
    self.uptime = uptime
    last = MonotonicClock.now()
    lastIdle = uptime.idle
  }

  /// Nanoseconds from the end of the wait in the last poll to now: all that has passed but was not waited.
  mutating func iterate() -> Int64 {
    let now = MonotonicClock.now()
    let idle = uptime.idle
    defer { (last, lastIdle) = (now, idle) }
    return max(0, (now - last) - (idle - lastIdle))
  }
}

extension EventLoop {
  /// Holds because `init` passes one, and nothing else ever is.
  nonisolated var monitor: LoopMonitor { unsafe unsafeDowncast(core.observation.observer, to: LoopMonitor.self) }
}
