// Bridges from plain threads: these calls block the caller, and refuse to where that could never end.

extension EventLoop {
  /// Runs `body` on the loop and blocks the calling thread until it has ended.
  ///
  /// For plain threads: a main program without `async`, a thread of a C library, an offloaded call. On a loop's thread,
  /// this one's or another's, it would stop that loop, and is refused before anything is queued.
  ///
  /// Not detected: a main thread that waits for a `body` which awaits `MainActor`. Give such a call a `timeout`.
  ///
  /// - Parameters:
  ///   - timeout: How long to wait, measured to the nanosecond on the monotonic clock, whatever ``Options/time`` says;
  ///     nil waits for ever. When it is over `body` is cancelled and its late result is dropped. If the limit is zero
  ///     or negative, `body` is not run.
  ///   - body: Runs on the loop, in a task that prefers it.
  /// - Throws: What `body` throws, unchanged; ``UVError/Code/timedOut``; ``UVError/Code/wouldDeadlock`` on a loop's
  ///   thread; ``UVError/Code/loopClosed`` once shutdown has begun, also to a thread that already waits.
  ///
  /// > Isolation: Not available in asynchronous code, where it would block a thread that others need.
  ///
  /// > Cancellation: Shutdown cancels `body`.
  @available(*, noasync, message: "It would block a thread of Swift's pool: use `await loop.run { loop in … }`.")
  public nonisolated func runBlocking<R>(
    timeout: Duration? = nil, _ body: @Sendable @escaping (isolated EventLoop) async throws -> sending R
  ) throws -> sending R {
    requireOwnProcess()
    try requireRunning("runBlocking")
    try core.refuseToBlock("runBlocking", instead: "`try await loop.run { loop in … }`")
    if let timeout, timeout <= .zero { throw Self.timedOut(timeout) }
    let deadline = timeout.map { MonotonicClock.now(plus: $0) }

    let call = BlockingCall<R>()
    let core = core
    let closed = core.closedWhileWaiting("runBlocking")
    guard let id = core.tasks.register("runBlocking", .blocking(release: { call.finish(.failure(closed)) })) else {
      throw core.closedError("runBlocking")
    }
    defer { core.tasks.unregister(id) }

    // Said before the body can run: what it offloads must find this thread blocked.
    let lease = WorkerLeases.current
    if let lease { call.block(lease) }
    let task = WorkerLeases.$chain.withValue(WorkerLeases.unended + (lease.map { [$0] } ?? [])) {
      LoopTasks.$chain.withValue(LoopTasks.unended + [id]) {
        Task(executorPreference: taskExecutor) { await self.answer(call, orIfClosed: closed, body) }
      }
    }
    core.tasks.attach(id) { task.cancel() }

    let outcome = BlockedWork.process.noting("runBlocking of loop \"\(name)\"") { call.wait(until: deadline) }
    guard let outcome else {
      task.cancel()
      throw Self.timedOut(timeout ?? .zero)
    }
    return try outcome.get().take()
  }

  /// Isolated, so that the outcome is there when `body` has ended: back in the task's own code it would be one job
  /// later, behind what `body` has started.
  private func answer<R>(
    _ call: BlockingCall<R>, orIfClosed closed: UVError,
    _ body: @Sendable (isolated EventLoop) async throws -> sending R
  ) async {
    do {
      call.finish(.success(Disconnected(try await body(self))))
    } catch is CancellationError where core.life != .accepting {
      // Nobody but shutdown cancels a body whose caller still waits.
      call.finish(.failure(closed))
    } catch {
      call.finish(.failure(error))
    }
  }

  private static func timedOut(_ limit: Duration) -> UVError {
    UVError(
      .timedOut, call: "runBlocking",
      limit <= .zero
        ? "The timeout of \(limit.text) given to runBlocking(timeout:) was over at once, and the body did not start."
        : """
        The body had not ended after the \(limit.text) given to runBlocking(timeout:). It was cancelled; a late result is \
        lost.
        """)
  }
}
