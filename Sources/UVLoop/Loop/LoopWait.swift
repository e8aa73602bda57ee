// The file is long because a wait has two sides, the task's and that of whoever ends it, which race in one word.

import Synchronization

// One atomic word:
//   0            nobody waits and nothing has happened
//   1, 2, 3      ended: resumed, cancelled, closed
//   otherwise    the address of the job that waits
//
// empty ──park──▶ waiting ──end──▶ ended        empty ──end──▶ ended ──value──▶ goes on
//   ▲                                                                             │
//   └────────────────────── renew, where nobody else holds it ────────────────────┘
//
// The end comes once, from one of three: `resume`, by whoever has what was waited for; `cancel`, on any thread;
// `endClosed`, by a shutdown. All but the word and what it carries belongs to the task until the wait begins, and to
// the loop's thread from then on.
//
// The class is not generic over what it carries: the runtime looks up the metadata of a generic actor each time that
// one is made, enqueued on and freed, which is a quarter of what a wait costs.

/// What a task waits for on a loop.
///
/// One kind for each use, so that a suite of laws can hold all of them to the same.
enum WaitKind: String, CaseIterable, Sendable {
  case sleep, tick, promise, signal, clockAdvance, timeLimit, abandonableCall, readiness, handleClose, request
  case read, write, accept, connect, receive, send
}

/// Who begins a wait, and calls it off. Its methods are called on the loop's thread.
protocol WaitOwner: AnyObject, Sendable {
  /// The wait begins, unless it has ended before: sees to it that somebody resumes or closes it.
  func begin(_ wait: LoopWait)

  /// The wait has begun, and was cancelled or closed. Nobody needs to resume it any more.
  func withdraw(_ wait: LoopWait)
}

/// One task that waits for one thing on a loop, and does not leave the loop's thread for it.
///
/// A task that waits at a continuation is resumed on the global pool first and hops to its actor from there: 20 to
/// 40 µs and two allocations, even when the loop's own thread resumed it. A wait is an actor that is its own executor
/// instead. To await ``park()`` is to enqueue the rest of the task here; the wait keeps that job until its end, and
/// then gives it to the loop, which runs it as one of its own. If the task is isolated to the loop it goes on at once;
/// if not it hops to where it belongs.
@safe actor LoopWait: ScopedWait, LoopMember {
  /// How a wait has ended.
  enum End: UInt, Sendable {
    /// What was waited for has come.
    case resumed = 1
    /// The waiting task was cancelled.
    case cancelled = 2
    /// The loop shuts down.
    case closed = 3
  }

  nonisolated let loop: LoopCore
  nonisolated let kind: WaitKind
  private nonisolated let word = Atomic<UInt>(0)
  private var isParked = false
  /// The executors under which the waiting task ran. Written before its job is parked, and read by whoever takes it.
  private nonisolated(unsafe) var identity = JobIdentity.actor  // Holds because the word orders the write and the read.

  /// What it carries to the task: a number, an error or an object. Written by the one who resumes, before the word, and
  /// read by the task after it.
  private nonisolated(unsafe) var number: Int64 = 0  // Holds because the word orders the write and the read.
  private nonisolated(unsafe) var error: (any Error)?  // Holds for the same reason.
  private nonisolated(unsafe) var object: AnyObject?  // Holds for the same reason.

  /// Nil for a wait that nobody begins: it is resumed by whoever has been given it.
  private nonisolated(unsafe) var owner: (any WaitOwner)?  // Holds because it belongs to the loop's thread.
  /// What the owner is to know: a deadline, say.
  private nonisolated(unsafe) var parameter: Int64  // Holds because it is written before the wait begins.
  private nonisolated(unsafe) var mark = TimerToken.none  // Holds because it belongs to the loop's thread.
  private nonisolated(unsafe) var hasBegun = false  // Holds because it belongs to the loop's thread.
  /// Whether a task waits at it, or is about to go on.
  private nonisolated(unsafe) var isInUse = false  // Holds because it belongs to the task that waits.
  /// Whether a message to the loop may end it, and come late: its task was cancelled on another thread. Any thread may
  /// say so; its task asks when the handler of its cancellation has returned.
  private nonisolated let isMessaged = Atomic(false)
  /// Whether the scope has it.
  private nonisolated(unsafe) var isInScope = false  // Holds because it belongs to the loop's thread.
  /// The scope in which it was waited for last: most likely the next one's too.
  private nonisolated(unsafe) var lastScope: WaitScope?  // Holds because it belongs to the loop's thread.
  private nonisolated(unsafe) var position = -1  // Holds because it belongs to the loop's thread.

  init(_ kind: WaitKind, on loop: LoopCore, owner: (any WaitOwner)? = nil, _ argument: Int64 = 0) {
    self.kind = kind
    self.loop = loop
    unsafe self.owner = owner
    unsafe parameter = argument
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

  /// How the wait has ended, or nil. On any thread.
  nonisolated var end: End? { End(rawValue: word.load(ordering: .acquiring)) }

  nonisolated var argument: Int64 { unsafe parameter }

  /// Where its owner finds it again. On the loop.
  nonisolated var token: TimerToken {
    get { unsafe mark }
    set { unsafe mark = newValue }
  }

  /// Where it stands among the loop's waits, which keep this number; negative if it does not. On the loop.
  nonisolated var index: Int {
    get { unsafe position }
    set { unsafe position = newValue }
  }

  /// The assignment is what makes it wait: the optimiser removes a hop to an executor on which nothing is done.
  private func park() { isParked = true }
}

// MARK: - The task that waits

extension LoopWait {
  // MARK: On any thread

  /// Begins, now or by a message to the loop, and waits for the end; one task, once.
  ///
  /// - Parameter call: What the user called, for the error of a shutdown.
  /// - Returns: The number with which it was resumed.
  /// - Throws: The error with which it was resumed; `CancellationError`; ``UVError/Code/loopClosed``.
  @discardableResult
  @inline(__always)
  nonisolated func value(_ call: @autoclosure () -> String) async throws -> Int64 {
    try WaitScope.checkCancellation()
    try loop.requireRunning(call())
    unsafe isInUse = true
    defer { unsafe isInUse = false }
    if loop.isCurrent, enterScope() {
      if end == nil { await park() }
    } else {
      await parkAlone(isolation: #isolation)
    }
    if unsafe end == .resumed && error == nil { return unsafe number }
    throw failure(call())
  }

  /// The wait of a task without a scope, which hears of its cancellation here.
  private func parkAlone(isolation: isolated (any Actor)?) async {
    await withTaskCancellationHandler {
      _ = isolation
      begin()
      if end == nil { await park() }
    } onCancel: {
      cancel()
    }
  }

  @inline(never)
  private nonisolated func failure(_ call: String) -> any Error {
    switch end {
    case .resumed: unsafe error ?? CancellationError()
    case .closed: loop.closedWhileWaiting(call)
    case .cancelled, nil: CancellationError()
    }
  }

  /// Waits until somebody resumes it who was given it, also in a task that is cancelled meanwhile: `cancel`, which runs
  /// at once and on any thread, decides what that means. False if the wait was cancelled.
  func isResumed(isolation: isolated (any Actor)?, onCancel cancel: @Sendable () -> Void) async -> Bool {
    await withTaskCancellationHandler {
      _ = isolation
      if end == nil { await park() }
    } onCancel: {
      cancel()
    }
    return end == .resumed
  }

  /// The object with which it was resumed, once.
  nonisolated func take<Object: AnyObject>(_ type: Object.Type) -> Object? { unsafe object.take() as? Object }

  private nonisolated func begin() {
    if loop.isCurrent {
      beginOnLoop()
    } else if !loop.enqueue({ self.beginOnLoop() }) {
      end(.closed)
    }
  }

  // MARK: On the loop

  /// In a task that has a scope: begins, and says there that this is the wait to be ended.
  private nonisolated func enterScope() -> Bool {
    let scope: WaitScope
    if let last = unsafe lastScope, last.isCurrent {
      scope = last
    } else {
      guard let current = loop.waits.scopes.current else { return false }
      scope = current
      unsafe lastScope = current
    }
    unsafe scope.waiting = self
    unsafe isInScope = true
    beginOnLoop()
    return true
  }

  /// A wait for an owner that waits again and again: the last one, which has ended, as if it were new; or another if
  /// there is none, it is waited at by somebody else, or a message may still be on its way that would end it.
  @inline(__always)
  static func renew(
    _ wait: LoopWait?, _ kind: WaitKind, on loop: LoopCore, owner: any WaitOwner, _ argument: Int64
  ) -> LoopWait {
    guard let wait, unsafe !(wait.isMessaged.load(ordering: .relaxed) || wait.isInUse) else {
      return LoopWait(kind, on: loop, owner: owner, argument)
    }
    unsafe wait.parameter = argument
    unsafe wait.hasBegun = false
    if unsafe wait.error != nil { unsafe wait.error = nil }
    wait.word.store(0, ordering: .relaxed)
    return wait
  }

  /// It may have been cancelled before it came here, and a shutdown would not find it any more.
  private nonisolated func beginOnLoop() {
    if end != nil { return unlist() }
    if loop.waits.areReleased {
      end(.closed)
      unlist()
    } else {
      unsafe hasBegun = true
      unsafe owner?.begin(self)
    }
  }
}

// MARK: - Who ends it

extension LoopWait {
  // MARK: On any thread

  /// Ends it with `CancellationError`, from any thread, and calls it off: on the loop, before the task goes on and
  /// looks at what it waited at.
  nonisolated func cancel() {
    if !loop.isCurrent { isMessaged.store(true, ordering: .relaxed) }
    let isEnqueued = loop.onLoop { if self.end(.cancelled) { self.callOff() } }
    // A loop that has ended has ended its waits too.
    if !isEnqueued { end(.cancelled) }
  }

  /// Only the first call counts; the others return false.
  @discardableResult
  private nonisolated func end(_ end: End, now: Bool = false) -> Bool {
    var seen = word.load(ordering: .acquiring)
    while End(rawValue: seen) == nil {
      let attempt = word.compareExchange(expected: seen, desired: end.rawValue, ordering: .acquiringAndReleasing)
      if attempt.exchanged {
        if seen != 0 {
          let job = Work.job(unsafe unsafeBitCast(seen, to: UnownedJob.self), unsafe identity)
          if now { loop.queue.runNow(job) } else { loop.enqueue(job) }
        }
        return true
      }
      seen = attempt.original
    }
    return false
  }

  // MARK: On the loop
  //
  // A wait without an owner may be resumed on any thread: it is in no list of the loop's, and in no scope.

  /// What was waited for has come. False if the wait has ended before.
  @discardableResult
  nonisolated func resume(returning number: Int64 = 0) -> Bool {
    if end != nil { return false }
    unsafe self.number = number
    return resumed()
  }

  /// The same in a callback of libuv's. The task goes on before this returns, where nothing else waits to run: what has
  /// come lies where it is for that long.
  ///
  /// Nothing of the wait is touched behind that: its task may have renewed it.
  nonisolated func resumeNow(returning number: Int64 = 0) {
    if end != nil { return }
    unsafe self.number = number
    unlist()
    end(.resumed, now: true)
  }

  /// In `begin`, for a task that only lets the loop go round: behind what is queued.
  nonisolated func resumeLater() {
    isMessaged.store(true, ordering: .relaxed)
    loop.enqueue { self.resume() }
  }

  /// It will not come, because of this.
  @discardableResult
  nonisolated func resume(throwing error: any Error) -> Bool {
    if end != nil { return false }
    unsafe self.error = error
    return resumed()
  }

  /// It has come, and is this. Where the wait has ended before the object is let go of here.
  @discardableResult
  nonisolated func resume(carrying object: consuming AnyObject) -> Bool {
    if end != nil { return false }
    unsafe self.object = consume object
    if resumed() { return true }
    unsafe self.object = nil
    return false
  }

  /// The same in a callback of libuv's, where the task may go on before this returns.
  nonisolated func resumeNow(carrying object: AnyObject) {
    if end != nil { return }
    unsafe self.object = object
    unlist()
    end(.resumed, now: true)
  }

  private nonisolated func resumed() -> Bool {
    if !end(.resumed) { return false }
    unlist()
    return true
  }

  /// A shutdown ends it with `loopClosed`.
  nonisolated func endClosed() {
    if end(.closed) { callOff() }
  }

  private nonisolated func callOff() {
    unlist()
    if unsafe hasBegun { unsafe owner?.withdraw(self) }
  }

  /// Nobody shall find it any more who looks for a wait to end.
  private nonisolated func unlist() {
    if unsafe isInScope {
      unsafe isInScope = false
      unsafe lastScope?.waiting = nil
    }
    if index >= 0 { loop.waits.remove(self) }
  }
}

extension LoopWait: SerialExecutor {
  // MARK: On any thread

  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    // It goes on as what it was, since it goes back to where it came from.
    let identity = loop.executors.identity(ofLeaving: job)
    unsafe self.identity = identity
    let attempt = word.compareExchange(expected: 0, desired: job.bits, ordering: .acquiringAndReleasing)
    if !attempt.exchanged { loop.enqueue(.job(job, identity)) }
  }

  /// The wait's one job runs on the loop, as the loop's; nothing in `park` asks where it is.
  nonisolated func isIsolatingCurrentContext() -> Bool? { loop.isIsolating }
}
