import Synchronization

// One atomic word:
//   0            nobody waits and nothing has happened
//   1, 2, 3      ended: resumed, cancelled, closed
//   otherwise    the address of the job that waits
//
// empty ──pass──▶ waiting ──end──▶ ended        empty ──end──▶ ended ──value──▶ goes on
//   ▲                                                                             │
//   └────────────────────── renew, where nobody else holds it ────────────────────┘
//
// The end comes once, from one of three: `resume`, by whoever has what was waited for; `cancel`, on any thread; `close`,
// by a shutdown. All but the word and the result belongs to the loop's thread.

/// What a task waits for on a loop.
///
/// One kind for each use, so that a suite of laws can hold all of them to the same.
enum WaitKind: String, CaseIterable, Sendable {
  case sleep, tick, promise, signal, clockAdvance, timeLimit, abandonableCall, readiness, handleClose, request
}

/// Where a wait comes from: who begins it, and calls it off.
protocol WaitSource: Sendable {
  /// What the wait gives.
  associatedtype Value

  /// On the loop's thread, unless the wait has ended before: sees to it that somebody resumes or closes it.
  mutating func begin(_ wait: LoopWait<Self>)

  /// On the loop's thread: the wait has begun, and was cancelled or closed. Nobody needs to resume it any more.
  mutating func withdraw(_ wait: LoopWait<Self>)
}

extension WaitSource {
  func withdraw(_ wait: LoopWait<Self>) {}
}

/// One task that waits for one thing on a loop, and does not leave the loop's thread for it.
///
/// A task that waits at a continuation is resumed on the global pool first and hops to its actor from there: 20 to
/// 40 µs and two allocations, even when the loop's own thread resumed it. A wait is an actor that is its own executor
/// instead. To await ``pass()`` is to enqueue the rest of the task here; the wait keeps that job until its end, and then
/// gives it to the loop, which runs it as one of its own. If the task is isolated to the loop it goes on at once; if not
/// it hops to where it belongs.
@safe actor LoopWait<Source: WaitSource> {
  /// How a wait has ended.
  enum End: UInt, Sendable {
    /// What was waited for has come.
    case resumed = 1
    /// The waiting task was cancelled.
    case cancelled = 2
    /// The loop shuts down.
    case closed = 3
  }

  nonisolated let core: LoopCore
  nonisolated let kind: WaitKind
  private nonisolated let word = Atomic<UInt>(0)
  private var hasPassed = false
  /// As what the task that waits was running. Written before its job is parked, and read by whoever takes the job.
  private nonisolated(unsafe) var identity = JobIdentity.actor  // Holds because the word orders the write and the read.
  /// Written by the one who resumes, before the word, and read by the task after it.
  private nonisolated(unsafe) var result: Source.Value?  // Holds because the word orders the write and the read.
  nonisolated(unsafe) var source: Source  // Holds because it belongs to the loop's thread once the wait has begun.
  private nonisolated(unsafe) var hasBegun = false  // Holds because it belongs to the loop's thread.
  private nonisolated(unsafe) var scope: WaitScope?  // Holds because it belongs to the loop's thread.
  private nonisolated(unsafe) var standing = -1  // Holds because it belongs to the loop's thread.

  init(_ kind: WaitKind, for source: Source, on core: LoopCore) {
    self.kind = kind
    unsafe self.source = source
    self.core = core
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

  /// How the wait has ended, or nil.
  nonisolated var end: End? { End(rawValue: word.load(ordering: .acquiring)) }

  /// The assignment is what makes it wait: the optimiser removes a hop to an executor on which nothing is done.
  private func pass() { hasPassed = true }
}

// MARK: - The task that waits

extension LoopWait {
  /// Begins at the source, now or by a message to the loop, and waits for the end; one task, once.
  ///
  /// - Parameter call: What the user called, for the error of a shutdown.
  /// - Throws: `CancellationError`; ``UVError/Code/loopClosed``.
  func value(
    _ call: @autoclosure () -> String, isolation: isolated (any Actor)? = #isolation
  ) async throws -> Source.Value {
    try Task.checkCancellation()
    try core.requireRunning(call())
    if core.isCurrent, let scope = WaitScope.current(on: core) {
      scope.waiting = self
      unsafe self.scope = scope
      enter()
      if end == nil { await pass() }
    } else {
      await withTaskCancellationHandler {
        _ = isolation
        begin()
        if end == nil { await pass() }
      } onCancel: {
        cancel()
      }
    }
    switch end {
    case .resumed: return takeResult()
    case .closed: throw core.closedWhileWaiting(call())
    case .cancelled, nil: throw CancellationError()
    }
  }

  /// Waits for a result that somebody was told to leave here, also in a task that is cancelled meanwhile: `cancel`, which
  /// runs at once and on any thread, decides what that means. Nil if the wait was cancelled.
  func result(
    isolation: isolated (any Actor)?, onCancel cancel: @Sendable () -> Void
  ) async -> Source.Value? {
    await withTaskCancellationHandler {
      _ = isolation
      if end == nil { await pass() }
    } onCancel: {
      cancel()
    }
    return end == .resumed ? takeResult() : nil
  }

  /// A wait for an owner that waits again and again: the last one, as if it were new, or another if somebody may still
  /// hold that one who could end it.
  static func renew(
    _ wait: inout LoopWait?, _ kind: WaitKind, for source: consuming Source, on core: LoopCore
  ) -> LoopWait {
    if isKnownUniquelyReferenced(&wait), let wait {
      unsafe wait.source = consume source
      unsafe wait.hasBegun = false
      wait.word.store(0, ordering: .relaxed)
      return wait
    }
    let new = LoopWait(kind, for: consume source, on: core)
    wait = new
    return new
  }

  private nonisolated func takeResult() -> Source.Value {
    guard let value = unsafe result.take() else { preconditionFailure("a wait that was resumed has its result") }
    return value
  }

  private nonisolated func begin() {
    if core.isCurrent {
      enter()
    } else if !core.tell({ self.enter() }) {
      end(.closed)
    }
  }

  /// On the loop. It may have been cancelled before it came here, and a shutdown would not find it any more.
  private nonisolated func enter() {
    if end != nil { return }
    if core.waits.areReleased {
      end(.closed)
      leave()
    } else {
      unsafe hasBegun = true
      unsafe source.begin(self)
    }
  }
}

// MARK: - Who ends it

extension LoopWait: Wait {
  nonisolated var place: Int {
    get { unsafe standing }
    set { unsafe standing = newValue }
  }

  /// Gives what was waited for, once. False, and the value is dropped, if the wait has ended before.
  @discardableResult
  nonisolated func resume(returning value: consuming Source.Value) -> Bool {
    if end != nil { return false }
    unsafe result = consume value
    if end(.resumed) {
      leave()
      return true
    }
    unsafe result = nil
    return false
  }

  /// Ends it at once, from any thread, and calls it off at its source.
  nonisolated func cancel() {
    if end(.cancelled) { core.onLoop { self.callOff() } }
  }

  /// On the loop: a shutdown ends it.
  nonisolated func close() {
    if end(.closed) { callOff() }
  }

  private nonisolated func callOff() {
    leave()
    if unsafe hasBegun { unsafe source.withdraw(self) }
  }

  /// Nobody shall find it any more who looks for a wait to end.
  private nonisolated func leave() {
    if let scope = unsafe scope {
      scope.waiting = nil
      unsafe self.scope = nil
    }
    if place >= 0 { core.waits.remove(self) }
  }

  /// Only the first call counts; the others return false.
  @discardableResult
  private nonisolated func end(_ end: End) -> Bool {
    var seen = word.load(ordering: .acquiring)
    while End(rawValue: seen) == nil {
      let attempt = word.compareExchange(expected: seen, desired: end.rawValue, ordering: .acquiringAndReleasing)
      if attempt.exchanged {
        if seen != 0 { core.accept(.job(unsafe unsafeBitCast(seen, to: UnownedJob.self), unsafe identity)) }
        return true
      }
      seen = attempt.original
    }
    return false
  }
}

extension LoopWait where Source.Value == Void {
  /// What was waited for has come.
  @discardableResult
  nonisolated func resume() -> Bool { resume(returning: ()) }
}

extension LoopWait: SerialExecutor {
  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    // It goes on as what it was, since it goes back to where it came from.
    let identity = core.identity(of: job)
    unsafe self.identity = identity
    let attempt = word.compareExchange(expected: 0, desired: job.bits, ordering: .acquiringAndReleasing)
    if !attempt.exchanged { core.accept(.job(job, identity)) }
  }

  /// The wait's one job runs on the loop, as the loop's; nothing in `pass` asks where it is.
  nonisolated func isIsolatingCurrentContext() -> Bool? { core.isIsolating }
}

/// A result that one task leaves for another; see ``LoopWait/result(isolation:onCancel:)``.
struct HandedResult<R>: WaitSource {
  typealias Value = Result<Transfer<R>, any Error>

  func begin(_ wait: LoopWait<HandedResult<R>>) {}
}
