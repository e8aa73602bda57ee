/// A thread for actors that may block.
///
/// ```swift
/// actor Database: ThreadActor {
///   nonisolated let thread: OffloadThread
///   private var connection: OpaquePointer?
///
///   init(on thread: OffloadThread) { self.thread = thread }
///
///   func open(_ path: String) throws { … }
///   func rows(_ query: String) throws -> [Row] { … }
/// }
///
/// let database = Database(on: try OffloadThread(name: "db"))
/// ```
///
/// All that such actors do runs on this one thread, one piece after the other in the order of arrival, whatever the
/// priority of the tasks. So a library that wants to be called from a single thread gets what it wants, and while it
/// blocks nobody else waits. For calls that any of several threads may run there is ``OffloadPool``.
///
/// The thread starts at once and takes no signals but those of faults. At `exit`, and at the end of `main`, nobody
/// waits for it: what runs is cut off, and what waits may never run. In the child of a `fork` it does not exist, and a
/// call to one of its actors traps with a sentence, and so does the end of one that has an `isolated deinit`.
///
/// A time that jumps does not wait for what runs here: a thread's actor does not know for whose loop it works.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > Ownership: Its actors keep it. Where the last reference goes the thread ends, after its work.
public final class OffloadThread: Sendable {
  /// What a thread does at a moment.
  public struct Statistics: Sendable, Codable {
    /// The thread's name.
    public let name: String
    /// How many pieces of work wait. Each is a method's, or what a method does between two of its waits.
    public let queued: Int
    /// For how long the one that runs has run; nil if none does. The runtime does not tell an executor which task's it
    /// is.
    public let running: Duration?
    /// For how long the first in line has waited; nil if nothing does.
    public let oldestQueued: Duration?
    /// How long pieces of work have waited for the thread, since it was made.
    public let waits: LatencyHistogram
    /// How long they have run.
    public let runs: LatencyHistogram
  }

  @usableFromInline let core: ThreadExecutor

  /// Makes a thread, and returns when it runs.
  ///
  /// - Parameters:
  ///   - name: For people, and the name of the thread, of which Linux keeps 15 bytes.
  ///   - stackSize: Bytes of stack, as the system takes them: 16 KiB or more on most, in whole pages. Nil for what the
  ///     system gives.
  /// - Throws: ``UVError/Code/invalidArgument`` for a stack that the system does not make;
  ///   ``UVError/Code/resourceTemporarilyUnavailable`` if the process may have no more threads.
  public init(name: String = "thread", stackSize: Int? = nil) throws(UVError) {
    if let stackSize, !DetachedThread.takes(stackSize: stackSize) {
      throw UVError(
        .invalidArgument, call: "OffloadThread.init",
        """
        A stackSize of \(stackSize) bytes is not possible here: give whole pages, and 131,072 or more for thread \
        "\(name)".
        """)
    }
    core = ThreadExecutor(name)
    try core.start(stackSize: stackSize)
  }

  /// In the child of a fork its lock may be somebody's who is not there.
  deinit { if core.isOwnProcess { core.close() } }

  /// The name that was given to it.
  public var name: String { core.name }

  /// Which thread it is, as libuv, the kernel and a person name it. It stays the same after the end.
  public var identity: ThreadIdentity { core.identity }

  /// Whether the calling code runs on this thread. False everywhere once the thread has ended.
  public var isCurrent: Bool { core.isCurrent }

  /// What it does now.
  public var statistics: Statistics { core.statistics }

  // MARK: The end

  /// Lets the thread end when the work has ended that waits and runs now, and returns then.
  ///
  /// Call it as often as you like: everyone gets the same report. Methods that are called later still run, one at a
  /// time, on Swift's global pool, where ``isCurrent`` is false: an executor cannot refuse. So does the rest of a
  /// method that has awaited something. A method of one of the thread's own actors may call it, and goes on there.
  ///
  /// - Parameter limit: How long to wait; nil waits for as long as it takes. When it is over, what runs and what waits
  ///   is named in the report, and goes on.
  /// - Returns: What had not ended in time.
  ///
  /// > Cancellation: Ignored. A cancelled task waits for the end all the same.
  @discardableResult
  public func shutdown(within limit: Duration? = nil) async -> ShutdownReport {
    await core.ended(within: limit)
  }

  /// The same, and blocks the calling thread.
  ///
  /// - Throws: ``UVError/Code/wouldDeadlock`` on the thread itself, and on a loop's: nothing is stopped then.
  ///
  /// > Isolation: Not available in asynchronous code.
  @available(*, noasync, message: "It would block a thread of Swift's pool: use `await thread.shutdown()`.")
  @discardableResult
  public func shutdownBlocking(within limit: Duration? = nil) throws(UVError) -> ShutdownReport {
    core.requireOwnProcess()
    if let loop = LoopThread.current ?? LoopThread.isolating {
      throw refusal("it would stop loop \"\(loop.name)\", which runs there")
    }
    if core.isIsolating { throw refusal("it would wait for itself") }
    return core.endedBlocking(within: limit)
  }

  private func refusal(_ reason: String) -> UVError {
    UVError(
      .wouldDeadlock, call: "OffloadThread.shutdownBlocking",
      """
      shutdownBlocking of thread "\(name)" was called on \(ThreadIdentity.current): \(reason). Use `await \
      thread.shutdown()` instead.
      """)
  }
}
