extension EventLoop {
  /// Runs synchronous, blocking code on a pool of one's own, and returns its result on the caller's isolation.
  ///
  /// ```swift
  /// let rows = try await loop.offload(on: database, label: "users") { try connection.query("select …") }
  /// ```
  ///
  /// It is ``offload(label:onCancel:isolation:_:)`` with other threads: the task itself moves there, calls begin in the
  /// order of their submission, and the loop's shutdown waits for them and names them in its report. To reach the pool
  /// takes no detour over the loop's thread.
  ///
  /// - Parameters:
  ///   - pool: Where `body` runs.
  ///   - label: A name for people: in ``OffloadPool/statistics``, in errors, in a ``ShutdownReport``.
  ///   - whenFull: What happens if `queueLimit` calls wait.
  ///   - onCancel: What happens to the caller when it is cancelled while `body` runs.
  ///   - isolation: The caller's; leave it out.
  ///   - body: Runs once, or never if the call throws one of the errors below.
  /// - Throws: What `body` throws, unchanged; `CancellationError` if the task was cancelled before `body` began;
  ///   ``UVError/Code/poolClosed``; ``UVError/Code/loopClosed``; ``UVError/Code/busy`` with `whenFull: .fail`;
  ///   ``UVError/Code/wouldDeadlock`` if `body` could never begin, because every thread of the pool is held by a call
  ///   that waits, in `runBlocking`, for something which itself could never begin, on this pool or another one;
  ///   ``UVError/Code/resourceTemporarilyUnavailable`` if the pool's first thread cannot be made; what the pool's start
  ///   hook throws.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: As in ``offload(label:onCancel:isolation:_:)``.
  public func offload<T>(
    on pool: OffloadPool, label: String? = nil, whenFull: OffloadPool.WhenFull = .wait,
    onCancel: OffloadCancellation = .wait, isolation: isolated (any Actor)? = #isolation,
    _ body: sending @escaping () throws -> sending T
  ) async throws -> sending T {
    try WaitScope.checkCancellation()
    requireOwnProcess()
    try requireRunning("offload")
    let offload = Offload(
      on: core, in: pool.core, label: label, isAbandonable: onCancel == .abandon, failsWhenFull: whenFull == .fail)
    return try await Offload.value(of: offload, isolation: isolation, Disconnected(consume body)).take()
  }
}

extension OffloadPool {
  /// Runs synchronous, blocking code on one of the pool's threads, for code without a loop.
  ///
  /// ```swift
  /// let hash = try await pool.run(label: "hash") { slowHash(of: bytes) }
  /// ```
  ///
  /// The task itself moves to the thread: task-locals, `Task.isCancelled`, `Task.name` and the priority are there. The
  /// result may be of a type that is not `Sendable`, if the body keeps nothing of it. Where there is a loop, use
  /// ``EventLoop/offload(on:label:whenFull:onCancel:isolation:_:)``: its shutdown knows of the call.
  ///
  /// - Parameters:
  ///   - label: A name for people.
  ///   - whenFull: What happens if `queueLimit` calls wait.
  ///   - onCancel: What happens to the caller when it is cancelled while `body` runs.
  ///   - isolation: The caller's; leave it out.
  ///   - body: Runs once, or never if the call throws one of the errors below.
  /// - Throws: What ``EventLoop/offload(on:label:whenFull:onCancel:isolation:_:)`` throws, but for `loopClosed`.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Before `body` begins it is taken out of the queue and never runs, and the caller goes on with
  /// `CancellationError`, however busy the threads are. Once it runs `onCancel` decides.
  public func run<T>(
    label: String? = nil, whenFull: WhenFull = .wait, onCancel: OffloadCancellation = .wait,
    isolation: isolated (any Actor)? = #isolation, _ body: sending @escaping () throws -> sending T
  ) async throws -> sending T {
    try WaitScope.checkCancellation()
    core.requireOwnProcess()
    let offload = Offload(
      on: nil, in: core, label: label, isAbandonable: onCancel == .abandon, failsWhenFull: whenFull == .fail)
    return try await Offload.value(of: offload, isolation: isolation, Disconnected(consume body)).take()
  }

  /// Runs `body` on one of the pool's threads, soon and in order, and does not wait for it.
  ///
  /// Python's `submit`, which gives a future, is `Task { try await pool.run { … } }`. Where a start hook fails, `body`
  /// may never run, which the report of the shutdown says.
  ///
  /// - Throws: ``UVError/Code/poolClosed``; ``UVError/Code/busy`` if `queueLimit` calls wait. Then `body` is released
  ///   and never runs. What was accepted runs before ``shutdown(within:)`` returns, or is named in its report.
  ///
  /// > Isolation: Call it from any thread.
  public func submit(label: String? = nil, _ body: @escaping @Sendable () -> Void) throws(UVError) {
    let closure = Offload(in: core, label: label, isAwaited: false, failsWhenFull: true) { refusal in
      if refusal == nil { body() }
    }
    _ = try core.add(closure)
  }

  /// Runs `body` on one of the pool's threads and blocks the calling thread until it has ended.
  ///
  /// For plain threads: a main program without `async`, a thread of a C library, a call on another pool. Where the
  /// queue is full it waits for room.
  ///
  /// - Parameters:
  ///   - label: A name for people.
  ///   - timeout: How long to wait, to the nanosecond on the monotonic clock; nil waits for ever. When it is over a
  ///     `body` that has not begun never does, and the late result of one that runs is dropped.
  ///   - body: Runs once, or never if the call throws one of the errors below.
  /// - Throws: What `body` throws, unchanged; ``UVError/Code/timedOut``; ``UVError/Code/poolClosed``;
  ///   ``UVError/Code/wouldDeadlock`` on a loop's thread, and where `body` could never begin.
  ///
  /// > Isolation: Not available in asynchronous code, where it would block a thread that others need.
  @available(*, noasync, message: "It would block a thread of Swift's pool: use `await pool.run { … }`.")
  public func runBlocking<R>(
    label: String? = nil, timeout: Duration? = nil, _ body: sending @escaping () throws -> sending R
  ) throws -> sending R {
    try requireMayBlock("runBlocking", instead: "`await pool.run { … }`")
    if let timeout, timeout <= .zero { throw timedOut(timeout) }
    let deadline = timeout.map { MonotonicClock.now(plus: $0) }
    let call = BlockingCall<R>()
    let body = Disconnected(consume body)
    let lease = WorkerLeases.current
    if let lease { call.block(lease) }
    let chain = WorkerLeases.unended + (lease.map { [$0] } ?? [])
    // What the body waits for in its turn is waited for by all of these.
    let tasks = LoopTasks.unended
    let offload = Offload(in: core, label: label, waitedForBy: chain) { refusal in
      if let refusal { return call.finish(.failure(refusal)) }
      WorkerLeases.$chain.withValue(chain) {
        LoopTasks.$chain.withValue(tasks) { call.finish(Result { Disconnected(try unsafe body.value()) }) }
      }
    }
    do {
      _ = try core.add(offload)
    } catch {
      // What the lease waits for has come.
      call.finish(.failure(error))
    }
    let outcome = BlockedWork.process.noting("runBlocking of \(offload.title) on \(core.title)") {
      call.wait(until: deadline)
    }
    guard let outcome else {
      _ = core.withdraw(offload, dropped: false)
      throw timedOut(timeout ?? .zero)
    }
    return try outcome.get().take()
  }

  private func timedOut(_ limit: Duration) -> UVError {
    UVError(
      .timedOut, call: "OffloadPool.runBlocking",
      "The body had not ended after the \(limit.text) given to runBlocking(timeout:). A late result is lost.")
  }
}
