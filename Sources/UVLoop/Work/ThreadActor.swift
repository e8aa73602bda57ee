/// An actor that lives on a thread of its own, and may block there.
///
/// ```swift
/// actor Scanner: ThreadActor {
///   nonisolated let thread: OffloadThread
///
///   init() throws { thread = try OffloadThread(name: "scanner") }
///
///   func scan(_ page: Int) throws -> [UInt8] { try driver_scan(page) }
///
///   isolated deinit { driver_close() }
/// }
/// ```
///
/// It is the twin of ``LoopActor``. Its methods run on the thread, and so does what they call of other actors of the
/// same thread; without a hop, unless the task prefers an executor. `assumeIsolated` and `preconditionIsolated` hold
/// there, and trap elsewhere with a sentence. Several actors may have one thread. What a method awaits of others, a
/// loop's or a default actor's, runs where that belongs; the thread does something else meanwhile.
///
/// A plain `deinit` runs where the last reference goes, on any thread. What must be freed on this one goes into an
/// `isolated deinit`.
///
/// A call of a method cannot be refused, as one of `offload` is: an executor sees neither the task nor for whom it
/// works. A method that blocks in `runBlocking` until another method of the same thread has run waits for ever, or for
/// its `timeout:`; ``OffloadThread/startWatchdog(over:signal:_:)`` shows it.
///
/// Declare the conformance with the actor, and leave `unownedExecutor` to this protocol: an actor of another module
/// that is made a `ThreadActor` by an extension keeps the executor with which it was compiled, and does not run here.
///
/// > Ownership: The actor keeps its thread. After the thread has been shut down its methods still run, one at a time,
/// on Swift's global pool.
public protocol ThreadActor: Actor {
  /// The thread on which the actor runs. It must always be the same: make it a stored `let`.
  nonisolated var thread: OffloadThread { get }
}

extension ThreadActor {
  /// The thread's executor.
  ///
  /// Inlined into the actor's own module: every call between two actors asks for it, and there it is two loads.
  @inlinable public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: thread.core)
  }

  /// Runs `work` on the thread, isolated to this actor, soon and in order, and does not wait for it.
  ///
  /// - Throws: ``UVError/Code/poolClosed`` once the thread's shutdown has been asked for; then `work` is released and
  ///   never runs. ``UVError/Code/notOnLoop`` for an actor that does not run on its thread.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Ownership: `work` and the actor are kept until it has run.
  public nonisolated func post(_ work: @Sendable @escaping (isolated Self) -> Void) throws(UVError) {
    let core = thread.core
    if !core.isExecutor(of: self) {
      throw UVError(
        .notOnLoop, call: "ThreadActor.post",
        """
        \(type(of: self)) names thread "\(core.name)", and does not run there. Declare the conformance with the actor, \
        leave `unownedExecutor` to ThreadActor, and let `thread` always be the same.
        """)
    }
    try core.post { self.assumeIsolated { work($0) } }
  }
}
