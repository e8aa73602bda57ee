import Synchronization

// accepting ─▶ quiescing ─▶ draining ─▶ releasingWaits ─▶ awaitingTasks ─▶ closing ─┬─────────┬─▶ leaving ──┬─▶ ended
//                                                                                   ├▶ expired┤             │
//                                                                                   └─────────┴─▶ lingering ┘
//
//   accepting       the loop takes on what it is asked for
//   quiescing       shutdown has been asked for: nothing new is accepted
//   draining        listeners take no more connections; what was accepted runs
//   releasingWaits  that has run, and the loop's tasks are cancelled; every other wait is to end with `loopClosed`
//   awaitingTasks   what that woke runs; the loop's tasks end. Their own waits ended with their cancellation, but a
//                   task may also await somebody else's that waits on the loop, and would then never end
//   closing         the hooks run, and then our handles close; offloaded calls end
//   expired         the same, and the time is over: what had not begun has been cancelled
//   lingering       the report is out; handles of C code, offloaded calls or requests still use the loop
//   leaving         nothing uses the loop any more, and its thread closes it
//   ended           libuv's loop is closed. After lingering this comes at once: the callers have gone on long ago

/// Where a loop is in its life. It only ever moves forward.
enum LoopLife: UInt8, CaseIterable, Comparable, AtomicRepresentable {
  case accepting, quiescing, draining, releasingWaits, awaitingTasks, closing, expired, lingering, leaving, ended

  static func < (left: LoopLife, right: LoopLife) -> Bool { left.rawValue < right.rawValue }

  /// What the loop finds when it looks.
  struct Conditions {
    /// The time that the caller gave is over.
    var isExpired = false
    /// Tasks of the loop that have not ended.
    var tasks = 0
    /// Our handles are freed, and what else shutdown waits for has ended: offloaded calls, requests of C code, and the
    /// close of its handles, where it has begun.
    var isSettled = true
    /// Our handles are freed, and no offloaded call and no request is left on the loop at all.
    var isEmpty = true
    /// Handles of C code are on the loop.
    var hasForeignHandles = false
  }

  enum Step {
    case wait
    case releaseWaits
    case runHooksAndClose
    /// Cancel what has not begun.
    case expire
    /// Tell the callers, and go on iterating for those who still use the loop.
    case report
    case end
  }
}

// MARK: - What it allows

extension LoopLife {
  /// Whether the loop takes on what users ask for: posts, tasks, waits, calls.
  var acceptsPosts: Bool { self == .accepting }

  /// Whether a handle may be made for what the loop has taken on. Another thread may have asked for shutdown since.
  var acceptsHandles: Bool { self <= .quiescing }

  /// Whether what was accepted has run, so that the loop's tasks are cancelled and no offloaded call goes to the pool.
  var hasDrained: Bool { self >= .releasingWaits }

  /// Whether a wait that was accepted may begin. Later ones end with `loopClosed`.
  var admitsWaits: Bool { self < .awaitingTasks }

  /// Whether jobs, and the library's own messages, run on the loop.
  var acceptsJobs: Bool { self < .leaving }

  /// Whether shutdown takes its steps before each poll.
  var takesSteps: Bool { self >= .releasingWaits && self < .leaving }

  /// What users see.
  var state: EventLoop.State {
    switch self {
    case .accepting: .running
    case .quiescing, .draining, .releasingWaits, .awaitingTasks, .closing, .expired, .leaving: .stopping
    case .lingering, .ended: .stopped
    }
  }
}

// MARK: - How it goes on

extension LoopLife {
  /// Shutdown is asked for. False if it was before.
  mutating func stop() -> Bool {
    if self != .accepting { return false }
    self = .quiescing
    return true
  }

  /// On the loop, before what was accepted runs. False if that has been before, or shutdown has not been asked for.
  mutating func quiesce() -> Bool {
    if self != .quiescing { return false }
    self = .draining
    return true
  }

  /// What was accepted has run.
  mutating func endDraining() {
    precondition(self == .draining, "a loop is drained once, behind everything that it has accepted")
    self = .releasingWaits
  }

  /// The next step. Anything but `.wait` is to be done before the next question.
  mutating func next(_ now: Conditions) -> Step {
    switch self {
    case .releasingWaits:
      self = .awaitingTasks
      return .releaseWaits
    case .awaitingTasks:
      if now.tasks > 0 && !now.isExpired { return .wait }
      self = .closing
      return .runHooksAndClose
    case .closing where !now.isSettled:
      if !now.isExpired { return .wait }
      self = .expired
      return .expire
    case .closing, .expired:
      let isFree = now.isEmpty && !now.hasForeignHandles
      self = isFree ? .leaving : .lingering
      return isFree ? .end : .report
    case .lingering:
      if !now.isEmpty || now.hasForeignHandles { return .wait }
      self = .ended
      return .end
    case .accepting, .quiescing, .draining, .leaving, .ended:
      return .wait
    }
  }

  /// Libuv's loop is closed, and no job runs on it any more.
  mutating func end() { self = .ended }
}
