/// An actor that lives on a loop's thread.
///
/// Name the loop, and the actor runs there: its methods, what they await of other actors of the same loop (without a
/// hop), and every handle that it creates.
///
/// ```swift
/// actor Meter: LoopActor {
///   nonisolated let loop: EventLoop
///   var beats = 0
///
///   init(on loop: EventLoop) { self.loop = loop }
///
///   func start() throws {
///     let timer = try TimerHandle()
///     try timer.start(after: .zero, repeating: .seconds(1)) {
///       self.beats += 1
///     }
///   }
/// }
/// ```
///
/// A global actor can be one, and then whatever is marked with it lives on the loop:
///
/// ```swift
/// @globalActor actor NetworkActor: LoopActor {
///   static let shared = NetworkActor()
///   nonisolated let loop: EventLoop
///   …
/// }
/// @NetworkActor final class Connection { … }
/// ```
///
/// A closure in a method belongs to the loop only if it captures `self`: one that does not name `self` is nonisolated,
/// and creating a handle in it does not compile. The same holds in the body of a `run` for closures that do not name
/// its parameter, and for local functions, which take the loop as `isolated EventLoop` instead.
///
/// Declare the conformance with the actor, and leave `unownedExecutor` to this protocol. An actor of another module
/// that is made a `LoopActor` by an extension keeps the executor with which it was compiled, and one that says itself
/// where it runs, runs there. Neither is on the loop: what it makes there, and ``post(_:)``, is refused with
/// ``UVError/Code/notOnLoop``.
///
/// > Ownership: The actor keeps its loop. After the loop has been shut down its methods still run, one at a time, on
/// Swift's global pool, and every call that needs the loop throws ``UVError/Code/loopClosed``.
public protocol LoopActor: Actor {
  /// The loop on whose thread the actor runs. It must always be the same: make it a stored `let`.
  nonisolated var loop: EventLoop { get }
}

extension LoopActor {
  /// The loop's executor.
  ///
  /// Inlined into the actor's own module: every call between two actors asks for it, and there it is two loads.
  @inlinable public nonisolated var unownedExecutor: UnownedSerialExecutor {
    // Not `asUnownedSerialExecutor()`: that is a call, for which the core would be retained each time that an actor is
    // called.
    unsafe UnownedSerialExecutor(ordinary: loop.core)
  }

  /// Runs `work` on the loop, isolated to this actor, soon and in order, and does not wait for it.
  ///
  /// ```swift
  /// try meter.post { $0.beats += 1 }
  /// try loop.post { loop in … }
  /// ```
  ///
  /// Never inline: on the loop's own thread `work` starts after the current callback has returned. Calls of one thread
  /// keep their order, and so do calls of one task that moves between threads.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun; then `work` is released and never runs. Work that
  ///   was accepted runs before `shutdown` returns. ``UVError/Code/notOnLoop`` for an actor that does not run on its
  ///   loop.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Complexity: O(1), amortised. The queue has no bound; see ``EventLoop/post(_:)``.
  ///
  /// > Ownership: `work` and the actor are kept until it has run.
  public nonisolated func post(_ work: @Sendable @escaping (isolated Self) -> Void) throws(UVError) {
    let core = try core(for: "post")
    // A synchronous function is called alike with an isolated parameter and with a plain one. The thread is the one
    // that the isolation asks for, because the loop runs the closure.
    let plain = unsafe unsafeBitCast(IsolatedWork(work: work), to: PlainWork<Self>.self)
    try core.post(.call { plain.work(self) })
  }
}

/// Two types for one closure, to be cast. As a bare value it would be wrapped in a second closure for that, with memory
/// of its own.
private struct IsolatedWork<Owner: LoopActor> { let work: @Sendable (isolated Owner) -> Void }
private struct PlainWork<Owner: LoopActor> { let work: @Sendable (Owner) -> Void }

extension LoopActor {
  /// The core of the actor's loop, for a call that is made for the actor, or in its isolation. Refuses an actor that
  /// does not run there.
  @inline(__always)
  nonisolated func core(for call: @autoclosure () -> String) throws(UVError) -> LoopCore {
    let loop = loop
    // A loop is its own, and most calls are made in its isolation: so much for them costs nothing.
    let core = loop.core
    if loop !== self && !core.isExecutor(of: self) { throw core.strangerError(self, call()) }
    return core
  }

  /// The same for a call that is made on the loop's thread, before its shutdown.
  nonisolated func currentCore(for call: @autoclosure () -> String) throws(UVError) -> LoopCore {
    let core = try core(for: call())
    try core.requireOnLoop(call())
    return core
  }
}

extension EventLoop {
  /// Guards a call of this loop that needs no `await`, made in the isolation of `caller`.
  @inline(__always)
  nonisolated func requireOnLoop(
    _ caller: any LoopActor, _ call: @autoclosure () -> String
  ) throws(UVError) {
    try core.requireOnLoop(call())
    if caller !== self && !core.isExecutor(of: caller) { throw core.strangerError(caller, call()) }
  }
}
