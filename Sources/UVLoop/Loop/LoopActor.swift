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
/// > Ownership: The actor keeps its loop. After the loop has been shut down its methods still run, one at a time, on
/// Swift's global pool, and every call that needs the loop throws ``UVError/Code/loopClosed``.
public protocol LoopActor: Actor {
  /// The loop on whose thread the actor runs. It must always be the same.
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
  ///   was accepted runs before `shutdown` returns.
  ///
  /// > Isolation: Call it from any thread.
  ///
  /// > Ownership: `work` and the actor are kept until it has run.
  public nonisolated func post(_ work: @Sendable @escaping (isolated Self) -> Void) throws(UVError) {
    // A synchronous function is called alike with an isolated parameter and with a plain one. The thread is the one
    // that the isolation asks for, because the loop runs the closure.
    let work = unsafe unsafeBitCast(work, to: (@Sendable (Self) -> Void).self)
    try loop.core.post(.call { work(self) })
  }
}
