import Synchronization

extension EventLoop {
  /// Runs `body`, and cancels it when it takes longer than `limit`.
  ///
  /// `body` runs in the caller's isolation, on the loop without a hop. When the time is over it is cancelled and
  /// awaited: nothing of it goes on after this call has ended. What it then ends with is what the caller gets, a value
  /// or an error of its own; only its `CancellationError` becomes ``UVError/Code/timedOut``. A `for` over
  /// ``ticks(every:missed:)`` or ``signals(_:)`` ends when it is cancelled and throws nothing: `body` then returns, and
  /// nobody says that it was late, unless `body` calls `try Task.checkCancellation()` after the `for`.
  ///
  /// - Parameters:
  ///   - limit: Counted from now, to the nanosecond; on an idle machine noticed up to 2 ms later. If the limit is zero
  ///     or negative, `body` is not run. The largest `Duration` is no limit.
  ///   - isolation: The caller's; leave it out.
  ///   - body: What has the limit. It does not outlive the call.
  /// - Throws: What `body` throws; ``UVError/Code/timedOut``; `CancellationError` when the calling task is cancelled;
  ///   ``UVError/Code/loopClosed`` when the loop shuts down, which cancels `body` too, or has.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Passed on to `body`. In a task that is already cancelled `body` does not start.
  public func withTimeout<R>(
    _ limit: Duration, isolation: isolated (any Actor)? = #isolation, _ body: () async throws -> R
  ) async throws -> R {
    try Task.checkCancellation()
    try requireRunning("withTimeout")
    if limit <= .zero { throw TimeLimit.timedOut(limit) }

    let loop = core
    let timer = TimeLimit(loop)
    timer.begin(until: loop.time.now(plus: limit))
    let result = await timer.run(isolation: isolation, body)
    timer.end()

    switch result {
    case .success(let value):
      return value.take()
    case .failure(let error):
      guard error is CancellationError, !Task.isCancelled else { throw error }
      switch timer.cause {
      case .expired: throw TimeLimit.timedOut(limit)
      case .closed: throw loop.closedWhileWaiting("withTimeout")
      case .none: throw error
      }
    }
  }
}

// States of the one atomic word; the loop moves it to *cancelling* and on, the body's task everything else:
//   idle        the body's task has not begun
//   doomed      the time was over before that: the task cancels itself when it begins
//   attached    the task runs and may be cancelled
//   cancelling  the loop is about to cancel it: the task must not end now
//   cancelled   it has been
//   detached    the body has ended

/// One body with a limit. `token` belongs to the loop's thread.
// Holds because of the line above, and `word` guards `task`.
@safe final class TimeLimit: LoopDeadline, @unchecked Sendable {
  enum Cause: UInt8, AtomicRepresentable { case none, expired, closed }

  private enum Phase: UInt8, AtomicRepresentable { case idle, doomed, attached, cancelling, cancelled, detached }

  private let loop: LoopCore
  private let word = Atomic<Phase>(.idle)
  private let why = Atomic<Cause>(.none)
  private var task: UnsafeCurrentTask?
  private var token: TimerToken?

  init(_ loop: LoopCore) { self.loop = loop }

  // MARK: On any thread

  /// Why the loop cancelled the body, if it did.
  var cause: Cause { why.load(ordering: .acquiring) }

  static func timedOut(_ limit: Duration) -> UVError {
    UVError(
      .timedOut, call: "withTimeout",
      limit <= .zero
        ? "The limit of \(limit.text) given to withTimeout was over at once, and the body did not start."
        : "The body had not ended after the \(limit.text) given to withTimeout, and was cancelled.")
  }

  /// Where the current task is, and what it prefers.
  private enum Preference {
    /// On this loop's thread, without a preference.
    case none
    /// On this loop's thread, and it prefers the loop.
    case loop(LoopTaskExecutor)
    /// On another thread, or it prefers somebody else.
    case elsewhere
  }

  private var preference: Preference {
    guard loop.isCurrent, let executor = loop.owner?.taskExecutor else { return .elsewhere }
    let preferred = unsafe withUnsafeCurrentTask { unsafe $0?.unownedTaskExecutor }
    guard let preferred = unsafe preferred else { return .none }
    return unsafe preferred == executor.asUnownedTaskExecutor() ? .loop(executor) : .elsewhere
  }

  /// Runs `body` in a task of its own: a task can be cancelled, a part of one cannot.
  ///
  /// That task starts on the spot and in the caller's isolation, so that a body which does not wait costs no switch.
  func run<R>(
    isolation: isolated (any Actor)?, _ body: () async throws -> R
  ) async -> Result<Disconnected<R>, any Error> {
    await withoutActuallyEscaping(body) { body in
      let body = Disconnected(body)
      return switch preference {
      case .none: await runOnLoop(isolation: isolation, executor: nil, body)
      case .loop(let executor): await runOnLoop(isolation: isolation, executor: executor, body)
      case .elsewhere: await runElsewhere(isolation: isolation, body)
      }
    }
  }

  /// Elsewhere the way over the loop would be the longer one.
  ///
  /// The group's own result is nothing: with a generic one the optimiser of Swift 6.3 makes a child that does not
  /// prefer the executor which its parent prefers.
  private func runElsewhere<R>(
    isolation: isolated (any Actor)?, _ body: Disconnected<() async throws -> R>
  ) async -> Result<Disconnected<R>, any Error> {
    // Holds because the child writes it once, and it is read when the child has ended.
    nonisolated(unsafe) var result: Result<Disconnected<R>, any Error> = .failure(CancellationError())
    await withTaskGroup(of: Void.self, isolation: isolation) { group in
      _ = isolation
      group.addImmediateTask(name: Task.name) {
        _ = isolation
        unsafe result = await self.perform(isolation: isolation, body)
      }
      await group.next(isolation: isolation)
    }
    return unsafe result
  }

  private func perform<R>(
    isolation: isolated (any Actor)?, _ body: Disconnected<() async throws -> R>
  ) async -> Result<Disconnected<R>, any Error> {
    attach()
    defer { detach() }
    do {
      return .success(Disconnected(try await unsafe body.value()))
    } catch {
      return .failure(error)
    }
  }

  private func attach() {
    unsafe withUnsafeCurrentTask { unsafe task = $0 }
    let attempt = word.compareExchange(expected: .idle, desired: .attached, ordering: .acquiringAndReleasing)
    if !attempt.exchanged { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
  }

  private func detach() {
    while true {
      let seen = word.load(ordering: .acquiring)
      if seen != .cancelling {
        let attempt = word.compareExchange(expected: seen, desired: .detached, ordering: .acquiringAndReleasing)
        if attempt.exchanged { return }
      }
      // The loop is inside `cancel`, on its own thread, in a cancellation handler of the body's: it must get out of
      // there by itself, as with every `Task.cancel`.
      Posix.yield()
    }
  }

  func begin(until deadline: Int64) {
    if loop.isCurrent {
      arm(deadline)
    } else if !loop.enqueue({ self.arm(deadline) }) {
      drop()
    }
  }

  func end() {
    if loop.isCurrent {
      disarm()
    } else {
      loop.enqueue { self.disarm() }
    }
  }

  // MARK: On the loop

  /// On the loop even a task group without a child goes over the global pool; so the task is unstructured, cancelled by
  /// hand, and its end awaited on the loop. It never outlives this call.
  private func runOnLoop<R>(
    isolation: isolated (any Actor)?, executor: LoopTaskExecutor?, _ body: Disconnected<() async throws -> R>
  ) async -> Result<Disconnected<R>, any Error> {
    let wait = LoopWait(.timeLimit, on: loop)
    let task = Task.immediate(name: Task.name, executorPreference: executor) {
      _ = isolation
      await WaitScope.run(on: self.loop, isolation: isolation) {
        wait.resume(carrying: TaskResult(await self.perform(isolation: isolation, body)))
      }
    }
    let isResumed = await wait.isResumed(isolation: isolation) { task.cancel() }
    guard isResumed, let result = wait.take(TaskResult<R>.self) else { return .failure(CancellationError()) }
    return result.value
  }

  private func arm(_ deadline: Int64) {
    // The body has ended already, or shutdown came first.
    if word.load(ordering: .acquiring) == .detached { return }
    if loop.waits.areReleased {
      drop()
    } else {
      token = loop.timers.insert(.limit(self), at: deadline)
    }
  }

  private func disarm() {
    if let token, !loop.waits.areReleased { loop.timers.remove(token) }
    token = nil
  }

  /// The time is over.
  func expire() { cancel(.expired) }

  /// The loop shuts down. Where it has ended before, this is called where the limit was to begin.
  func drop() { cancel(.closed) }

  private func cancel(_ cause: Cause) {
    token = nil
    why.store(cause, ordering: .releasing)
    if word.compareExchange(expected: .idle, desired: .doomed, ordering: .acquiringAndReleasing).exchanged { return }
    if word.compareExchange(expected: .attached, desired: .cancelling, ordering: .acquiringAndReleasing).exchanged {
      // The task cannot end before the word says `cancelled`; until then its reference is good on any thread.
      unsafe task?.cancel()
      word.store(.cancelled, ordering: .releasing)
    }
  }
}
