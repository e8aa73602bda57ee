// running ──▶ releasingWaits ──▶ awaitingTasks ──▶ closingHandles ──▶ ended
//                                                        │               ▲
//                                                        ▼               │
//                                                     reaping ───────────┘
//
//   releasingWaits  accepted work has run, and the loop's tasks are cancelled; every other wait ends with `loopClosed`
//   awaitingTasks   what that woke runs; the loop's tasks end. Their own waits ended with their cancellation, but a
//                   task may also await somebody else's that waits on the loop, and would then never end
//   closingHandles  the hooks have run and our handles close; offloaded calls end
//   reaping         the report is out; foreign handles or late jobs still use the loop
//   ended           nothing uses the loop any more

/// In which order a loop ends.
struct StopSequence {
  enum Phase { case releasingWaits, awaitingTasks, closingHandles, reaping, ended }

  /// What the loop finds when it looks.
  struct Conditions {
    /// The time that the caller gave is over.
    var isExpired = false
    /// Tasks of the loop that have not ended.
    var tasks = 0
    /// Our handles are freed, and what else shutdown waits for has ended: offloaded calls, requests of C neighbours, and
    /// the close of their handles, where it has begun.
    var isSettled = true
    /// Our handles are freed, and no offloaded call and no request is left on the loop at all.
    var isEmpty = true
    /// Handles of C neighbours are on the loop.
    var hasForeignHandles = false
  }

  enum Action {
    case wait
    case releaseWaits
    case closeHandles
    /// Cancel what has not begun.
    case expire
    /// Tell the callers, and go on turning for those who still use the loop.
    case report
    case end
  }

  private(set) var phase = Phase.releasingWaits
  private var hasExpired = false

  /// The next step. Anything but `.wait` is to be done before the next question.
  mutating func next(_ now: Conditions) -> Action {
    switch phase {
    case .releasingWaits:
      phase = .awaitingTasks
      return .releaseWaits
    case .awaitingTasks:
      if now.tasks > 0 && !now.isExpired { return .wait }
      phase = .closingHandles
      return .closeHandles
    case .closingHandles:
      if !now.isSettled {
        if !now.isExpired { return .wait }
        if !hasExpired {
          hasExpired = true
          return .expire
        }
      }
      return leave(now)
    case .reaping:
      return leave(now)
    case .ended:
      return .wait
    }
  }

  private mutating func leave(_ now: Conditions) -> Action {
    if now.isEmpty && !now.hasForeignHandles {
      phase = .ended
      return .end
    }
    if phase == .reaping { return .wait }
    phase = .reaping
    return .report
  }
}
