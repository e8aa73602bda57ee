extension EventLoop {
  /// Ends the loop, and returns when it has ended.
  ///
  /// In this order:
  ///
  /// 1. New work is refused with ``UVError/Code/loopClosed``.
  /// 2. What was accepted runs, queued offloads too.
  /// 3. The loop's tasks are cancelled. Every sleeper and every other wait of others is resumed with `loopClosed`, and
  ///    calls that are scheduled but not due are dropped.
  /// 4. The loop's tasks are awaited.
  /// 5. The ``onShutdown(isolation:_:)`` bodies run, the last one first.
  /// 6. The handles close, and the loop ends. Its thread does too, an instant later.
  ///
  /// Nothing that was accepted is lost: it ran, or whoever waits for it gets an error.
  ///
  /// Call it as often as you like, from several places at once, and from the loop itself: everyone gets the same
  /// report. A task of the loop that asks for the shutdown, or in whose `Task { }` it is asked for, is not waited for.
  /// Two loops whose tasks shut each other down wait for each other: give one of them a limit.
  ///
  /// - Parameter limit: How long to wait, in real time, counted in nanoseconds and noticed up to 3 ms later; nil waits
  ///   for as long as it takes, zero and less do not wait for tasks and calls at all. When it is over, offloads that
  ///   have not begun are cancelled, and what still runs is named in the report. The thread then stays behind until
  ///   nothing uses the loop any more. Of several calls the shortest limit counts. It is noticed between callbacks: one
  ///   that blocks the loop's thread is waited for.
  /// - Returns: What was left behind.
  ///
  /// > Isolation: Call it from anywhere. This is the one wait that is not ended by the loop, which is gone by then: a
  /// task that was on the loop continues on Swift's global pool.
  ///
  /// > Cancellation: Ignored. A cancelled task waits for the end all the same.
  ///
  /// > libuv: `uv_close`, `uv_cancel`, `uv_loop_close`, which must and does return 0. Handles that C code put on the
  /// loop are never closed: their owners close them, and a second close would abort the process.
  @discardableResult
  public nonisolated func shutdown(within limit: Duration? = nil) async -> ShutdownReport {
    requestShutdown(within: limit)
    return await withCheckedContinuation { waiter in whenShutDown { waiter.resume(returning: $0) } }
  }

  /// Ends the loop, and blocks the calling thread until it has ended; see ``shutdown(within:)``.
  ///
  /// - Throws: ``UVError/Code/wouldDeadlock`` on a loop's thread, this one's or another's; nothing is stopped then.
  ///
  /// > Isolation: Not available in asynchronous code. In an offloaded call it is allowed; the shutdown does not wait
  /// for that call. Where such calls hold every thread of a pool, or every place of a lane, what waits there for the
  /// loop is refused with ``UVError/Code/loopClosed``: it could never begin.
  @available(*, noasync, message: "It would block a thread of Swift's pool: use `await loop.shutdown()`.")
  @discardableResult
  public nonisolated func shutdownBlocking(within limit: Duration? = nil) throws(UVError) -> ShutdownReport {
    requireOwnProcess()
    try core.refuseToBlock("shutdownBlocking", instead: "`await loop.shutdown()`")
    let call = BlockingCall<ShutdownReport>()
    // Said before the loop can look for whom this holds up.
    if let lease = WorkerLeases.current { call.block(lease) }
    let outcome = BlockedWork.process.noting("shutdownBlocking of loop \"\(name)\"") {
      requestShutdown(within: limit)
      whenShutDown { call.finish(.success(Disconnected($0))) }
      return call.wait(until: nil)
    }
    // Neither fails nor times out: the report always comes.
    guard case .success(let report) = outcome else { return ShutdownReport() }
    return report.take()
  }

  /// Registers `body` to run on the loop when it shuts down: once, last in, first out, after the loop's tasks have
  /// ended and before its handles close.
  ///
  /// As the only expression of a `run` write `_ = try loop.onShutdown { … }`: the hook that it would return belongs to
  /// the loop.
  ///
  /// - Returns: The hook, which can be cancelled. Whoever has no use for it drops it.
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun; ``UVError/Code/notOnLoop`` from an actor of another
  ///   loop.
  ///
  /// > Isolation: On the loop only; does not compile elsewhere.
  ///
  /// > Ownership: `body` is kept until it has run or was cancelled. Capturing the loop keeps it alive: it then ends by
  /// `shutdown` alone.
  @discardableResult
  public func onShutdown(
    isolation: isolated any LoopActor = #isolation, _ body: @escaping () -> Void
  ) throws(UVError) -> ShutdownHook {
    try requireOnLoop(isolation, "onShutdown")
    return ShutdownHook(on: core, body)
  }

  /// Begins the end, and does not wait for it.
  nonisolated func requestShutdown(within limit: Duration?) { core.shutdown.request(within: limit) }

  /// Calls `body` at the end: at once if that has been, else on the loop's thread.
  nonisolated func whenShutDown(_ body: @escaping @Sendable (ShutdownReport) -> Void) {
    core.shutdown.whenDelivered(body)
  }
}
