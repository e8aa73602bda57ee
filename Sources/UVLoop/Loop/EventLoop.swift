/// A libuv event loop on a thread of its own, as an actor.
///
/// The loop answers on which thread it runs and whether the caller is on it, and it makes the compiler answer first:
/// code that is isolated to the loop, or to a ``LoopActor`` that lives on it, runs on its thread, and handles can be
/// created nowhere else.
///
/// ```swift
/// try await withEventLoop { loop in
///   try await loop.sleep(for: .seconds(1))
///   // After each await the code is on the loop's thread again.
///   print(loop.isCurrent)  // true
/// }
/// ```
///
/// ## Life
///
/// ``init(_:)`` starts the thread and returns once it runs. ``shutdown(within:)`` ends it. A loop that is dropped
/// without shutdown is ended too, and says so in one line on standard error, the only thing that this library ever
/// prints unasked.
///
/// ## Signals
///
/// The loop's thread blocks all signals but those of faults, so that signals to the process stay with the program: a
/// `SIGINT` arrives where it would without the loop. `SIGPIPE` is blocked there too, and a write to a closed pipe
/// answers `EPIPE` instead of ending the process. The threads of the pool do the same. Foundation's `Process` hands the
/// mask of the thread that starts it to the child, here as on Swift's own threads: such a child is deaf to `SIGTERM`.
///
/// ## Fork
///
/// In the child of a `fork` no loop of the parent is current, and using one traps. A new loop can be made there. Only
/// synchronous calls work (`init`, `post`, `shutdownBlocking`), since Swift's global pool does not survive a fork; end
/// the child with `_exit` or `exec`. Fork early, or while the other threads sleep: Swift's runtime locks when a generic
/// type is used for the first time, and a child inherits a lock that another thread holds, locked for ever.
///
/// > libuv: `uv_loop_t`, `uv_run`.
public actor EventLoop: LoopActor {
  /// Where a loop is in its life. It only ever moves forward.
  public enum State: String, Sendable, Codable {
    /// It accepts work.
    case running
    /// Shutdown has begun: what was accepted runs, what comes is refused.
    case stopping
    /// The thread has ended, or stays behind only for those who still use the `uv_loop_t`.
    case stopped
  }

  /// Starts a loop on a new thread, and returns once that thread runs and ``thread`` is recorded.
  ///
  /// - Parameter options: What the loop is called, "uv-loop" if nothing is said, and how it behaves.
  /// - Throws: ``UVError/Code/invalidArgument`` for a bad option, which the message names;
  ///   ``UVError/Code/tooManyOpenFiles`` when the process has too few descriptors left (the first loop needs seven, a
  ///   later one five); ``UVError/Code/resourceTemporarilyUnavailable`` when the thread cannot be created. Nothing is
  ///   left behind then.
  /// - Complexity: O(1): loops share nothing but the process's thread pool, its descriptors and its CPUs.
  ///
  /// > Isolation: Call it anywhere. It blocks the caller for the start of a thread, about 100 µs.
  ///
  /// > libuv: `uv_loop_init`.
  public init(_ options: Options = .init()) throws(UVError) {
    try options.validate()
    // The one name from the top floor: whoever makes a loop also makes what watches it.
    let monitor = LoopMonitor(options.name)
    let core = try LoopCore(options, monitor)
    let executor = LoopTaskExecutor(core)
    thread = try core.start(executor)
    name = options.name
    taskExecutor = executor
    self.core = core
    core.attach(to: self)
    monitor.begin(on: core, options)
  }

  deinit {
    if core.life.acceptsPosts && core.isOwnProcess { endAfterDrop() }
  }

  /// The last reference is gone. Its tasks would have kept it, so that there is nothing to wait for but handles and
  /// offloaded calls.
  private nonisolated func endAfterDrop() {
    core.shutdown.request(within: nil)
    core.observation.observer.loopWasDropped(
      "event loop \"\(name)\" was dropped without shutdown and has been stopped. Call shutdown() first.")
  }

  @usableFromInline nonisolated let core: LoopCore

  /// The name from ``Options``, whole. The kernel's name of the thread is its first 15 bytes, cut where a character
  /// ends.
  public nonisolated let name: String

  /// The loop's thread, recorded by itself when it started.
  ///
  /// `loop.thread == .current` asks the question of ``isCurrent`` more slowly, and goes on answering after the loop has
  /// ended.
  ///
  /// > libuv: `uv_thread_self`.
  public nonisolated let thread: ThreadIdentity

  /// Runs tasks on the loop's thread; see ``LoopTaskExecutor``.
  public nonisolated let taskExecutor: LoopTaskExecutor

  /// This loop.
  public nonisolated var loop: EventLoop { self }

  /// The executor of every actor that lives on this loop.
  @inlinable public nonisolated var unownedExecutor: UnownedSerialExecutor {
    unsafe UnownedSerialExecutor(ordinary: core)
  }

  /// Whether the calling code runs on this loop's thread, right now.
  ///
  /// False as soon as the loop has ended, even on the thread that still serves its C neighbours. Costs 3 ns.
  ///
  /// > Isolation: Ask from anywhere.
  public nonisolated var isCurrent: Bool { core.isCurrent }

  /// The loop whose thread this is, or nil.
  ///
  /// > Isolation: Ask from anywhere.
  public static var current: EventLoop? { LoopThread.current?.owner }

  /// The loop whose thread this is.
  ///
  /// - Throws: ``UVError/Code/notOnLoop`` on any other thread; the message names it.
  public static func running() throws(UVError) -> EventLoop {
    if let loop = current { return loop }
    throw UVError(
      .notOnLoop, call: "EventLoop.running",
      """
      No event loop runs on \(ThreadIdentity.current). Call this from code that runs on a loop, as in `loop.run { … }`, \
      or ask `EventLoop.current`, which is nil here.
      """)
  }

  /// Where the loop is in its life. It may have moved on when the caller looks at the answer.
  ///
  /// > Isolation: Ask from anywhere.
  public nonisolated var state: State { core.life.state }
}

extension EventLoop: CustomStringConvertible {
  /// Name, state and thread in one line.
  public nonisolated var description: String { "EventLoop \"\(name)\", \(state.rawValue), on \(thread)" }
}

// MARK: - What a call asks first

extension EventLoop {
  /// Refuses a call once shutdown has begun.
  @inline(__always)
  nonisolated func requireRunning(_ call: @autoclosure () -> String) throws(UVError) { try core.requireRunning(call()) }

  /// Refuses a call off the loop, and once shutdown has begun.
  @inline(__always)
  nonisolated func requireOnLoop(_ call: @autoclosure () -> String) throws(UVError) { try core.requireOnLoop(call()) }

  /// Traps in the child of a fork.
  @inline(__always)
  nonisolated func requireOwnProcess() { core.requireOwnProcess() }
}
