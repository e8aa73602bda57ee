import Synchronization

// One atomic word:
//   0            nobody waits and nothing has happened
//   1, 2, 3      fired, with that outcome; it stays so
//   otherwise    the address of the job that waits
//
// empty ──pass──▶ waiting ──fire──▶ fired        empty ──fire──▶ fired ──pass──▶ goes on

/// A wait that ends on the loop's thread without leaving it.
///
/// A task that waits at a continuation is resumed on the global pool first and hops to its actor from there: 20 to
/// 40 µs and two allocations, even when the loop's own thread resumed it. A gate is an actor that is its own executor
/// instead. To await ``pass()`` is to enqueue the rest of the task here; the gate keeps that job until ``fire(_:)``,
/// and then gives it to the loop, which runs it as one of its own. If the task is isolated to the loop it goes on at
/// once; if not it hops to where it belongs.
actor Gate {
  /// Why the gate opened.
  enum Outcome: UInt, Sendable {
    /// What was waited for has happened.
    case passed = 1
    /// The waiting task was cancelled.
    case cancelled = 2
    /// The loop shuts down.
    case closed = 3
  }

  private nonisolated let core: LoopCore
  private nonisolated let word = Atomic<UInt>(0)
  private var hasPassed = false
  /// As what the task that waits was running. Written before its job is parked, and read by whoever takes the job.
  private nonisolated(unsafe) var identity = JobIdentity.actor  // Holds because the word orders the write and the read.

  init(on core: LoopCore) { self.core = core }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

  /// Waits until the gate has been fired; one task at most, once.
  ///
  /// The assignment is what makes it wait: the optimiser removes a hop to an executor on which nothing is done.
  func pass() { hasPassed = true }

  /// How the gate was fired, or nil.
  nonisolated var outcome: Outcome? { Outcome(rawValue: word.load(ordering: .acquiring)) }

  /// Opens the gate, from any thread. Only the first call counts; the others return false.
  @discardableResult
  nonisolated func fire(_ outcome: Outcome) -> Bool {
    var seen = word.load(ordering: .acquiring)
    while Outcome(rawValue: seen) == nil {
      let attempt = word.compareExchange(
        expected: seen, desired: outcome.rawValue, ordering: .acquiringAndReleasing)
      if attempt.exchanged {
        if seen != 0 { core.accept(.job(unsafe unsafeBitCast(seen, to: UnownedJob.self), unsafe identity)) }
        return true
      }
      seen = attempt.original
    }
    return false
  }
}

extension Gate: SerialExecutor {
  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    // It goes on as what it was, since it goes back to where it came from.
    let identity = core.identity(of: job)
    unsafe self.identity = identity
    let attempt = word.compareExchange(expected: 0, desired: job.bits, ordering: .acquiringAndReleasing)
    if !attempt.exchanged { core.accept(.job(job, identity)) }
  }

  /// The gate's one job runs on the loop, as the loop's; nothing in `pass` asks where it is.
  nonisolated func isIsolatingCurrentContext() -> Bool? { core.isIsolating }
}
