/// A pool of threads for blocking code, with a bound of its own.
///
/// ```swift
/// let database = try OffloadPool(name: "db", threads: 3)
/// let rows = try await loop.offload(on: database, label: "users") { try connection.query("select …") }
/// ```
///
/// ``EventLoop/offload(label:onCancel:isolation:_:)`` runs its calls on libuv's one pool of the process, which files
/// and names share. A pool of one's own keeps slow work away from them, bounds one kind of work, and keeps a library's
/// state on a few threads that stay. It belongs to no loop: several may use it, and code without one.
///
/// A thread is started when a call comes and none is free, and stays until the shutdown. The threads are called `db-1`,
/// `db-2`, and take no signals but those of faults. Calls begin in the order in which they came, whatever the priority
/// of their tasks, and end in any.
///
/// When the process ends by `exit`, or at the end of `main`, nobody waits for a pool: what runs is cut off, and what
/// waits may never run. (Python joins the threads of its executors there.) Call ``shutdown(within:)`` before. In the
/// child of a `fork` a pool of the parent traps.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > Ownership: A pool that is dropped takes no more calls, and its threads end after their work. Tasks that prefer its
/// executor keep it.
public final class OffloadPool: Sendable {
  /// What happens to a call that finds `queueLimit` calls waiting.
  public enum WhenFull: Sendable, Hashable {
    /// It waits for room, and then for a thread. It can be cancelled meanwhile.
    case wait
    /// It is refused with ``UVError/Code/busy``.
    case fail
  }

  /// What a pool does at a moment.
  public struct Statistics: Sendable, Codable {
    /// The pool's name.
    public let name: String
    /// Threads that there are.
    public let threads: Int
    /// Calls that wait for a thread: at most `queueLimit`, and those for which one is free.
    public let queued: Int
    /// Calls that wait for room in the queue.
    public let waitingForRoom: Int
    /// What runs, calls and jobs of tasks.
    public let running: Int
    /// What runs, the oldest first.
    public let jobs: [ThreadPool.Job]
    /// For how long the first in line has waited; nil if nothing does.
    public let oldestQueued: Duration?
    /// Jobs of tasks that prefer the pool and wait for a thread. They are not among ``queued``.
    public let tasksQueued: Int
    /// Jobs of tasks that run. They are among ``running``.
    public let tasksRunning: Int
    /// How long calls and jobs have waited for a thread, since the pool was made.
    public let waits: LatencyHistogram
    /// How long they have run.
    public let runs: LatencyHistogram
  }

  private let lease: WorkerPoolLease
  /// Runs tasks on the pool's threads.
  public let taskExecutor: OffloadPoolExecutor

  var core: WorkerPool { lease.pool }

  /// Makes a pool, and starts no thread yet.
  ///
  /// - Parameters:
  ///   - name: For people, and for the names of the threads, of which Linux keeps 15 bytes.
  ///   - threads: How many there are at most, from 1 to 1,024.
  ///   - queueLimit: How many calls may wait for a thread. What becomes of others they say; see ``WhenFull``.
  ///   - stackSize: Bytes of stack for each thread, as the system takes them: 16 KiB or more on most, in whole pages.
  ///     Nil for what the system gives.
  ///   - onThreadStart: Runs on each thread before its first call: to open a connection that stays there, say. Several
  ///     threads may run it at once. If it throws, the thread ends. Where none is left what waits is refused with that
  ///     error, and the next call tries again.
  ///   - onThreadEnd: Runs on each thread that has started, after its last call.
  /// - Throws: ``UVError/Code/invalidArgument`` for a number that is out of range.
  public init(
    name: String = "pool", threads: Int = 4, queueLimit: Int = .max, stackSize: Int? = nil,
    onThreadStart: (@Sendable () throws -> Void)? = nil, onThreadEnd: (@Sendable () -> Void)? = nil
  ) throws(UVError) {
    func refusal(_ argument: String) -> UVError {
      UVError(.invalidArgument, call: "OffloadPool.init", "\(argument) for pool \"\(name)\".")
    }
    if !(1...1_024).contains(threads) {
      throw refusal("\(threads) threads are not possible: give from 1 to 1,024")
    }
    if queueLimit < 0 { throw refusal("A queueLimit of \(queueLimit) is not possible: give 0 or more") }
    if let stackSize, !DetachedThread.takes(stackSize: stackSize) {
      throw refusal("A stackSize of \(stackSize) bytes is not possible here: give whole pages, and 131,072 or more")
    }
    lease = WorkerPoolLease(
      WorkerPool(
        .init(
          name: name, threads: threads, queueLimit: queueLimit, stackSize: stackSize, onThreadStart: onThreadStart,
          onThreadEnd: onThreadEnd)))
    taskExecutor = OffloadPoolExecutor(lease)
  }

  /// The name that was given to it.
  public var name: String { core.options.name }

  /// How many threads it has at most.
  public var threads: Int { core.options.threads }

  /// What the pool does now.
  ///
  /// - Complexity: O(n) in what waits and runs.
  public var statistics: Statistics { core.statistics }

  // MARK: The end

  /// Takes no more calls, and returns when those that were accepted have ended, with what they did on their threads.
  ///
  /// Call it as often as you like: everyone gets the same report. Asked for from one of the pool's own calls, it does
  /// not wait for that call. Where every thread is held by a call that waits for this end, or for something which could
  /// never begin, what waits in line for them is refused. Two pools whose calls shut each other down wait for each
  /// other: give one of them a limit.
  ///
  /// - Parameter limit: How long to wait; nil waits for as long as it takes. When it is over calls that have not begun
  ///   are refused with ``UVError/Code/poolClosed``, and what runs is named in the report and goes on. Jobs of tasks go
  ///   to Swift's global pool.
  /// - Returns: What was left behind: calls that run, closures and calls that never began.
  ///
  /// > Cancellation: Ignored. A cancelled task waits for the end all the same.
  @discardableResult
  public func shutdown(within limit: Duration? = nil) async -> ShutdownReport {
    await core.ended(within: limit)
  }

  /// The same, and blocks the calling thread.
  ///
  /// - Throws: ``UVError/Code/wouldDeadlock`` on one of the pool's own threads, and on a loop's: nothing is stopped
  ///   then.
  ///
  /// > Isolation: Not available in asynchronous code.
  @available(*, noasync, message: "It would block a thread of Swift's pool: use `await pool.shutdown()`.")
  @discardableResult
  public func shutdownBlocking(within limit: Duration? = nil) throws(UVError) -> ShutdownReport {
    try requireMayBlock("shutdownBlocking", instead: "`await pool.shutdown()`")
    return core.endedBlocking(within: limit)
  }

  /// Refuses to block where the pool, or a loop, needs the calling thread.
  func requireMayBlock(_ call: String, instead: String) throws(UVError) {
    core.requireOwnProcess()
    if let loop = LoopThread.current ?? LoopThread.isolating {
      throw UVError(
        .wouldDeadlock, call: "OffloadPool.\(call)",
        """
        \(call) was called on \(ThreadIdentity.current): it would stop loop "\(loop.name)", which runs there. Use \
        \(instead) instead.
        """)
    }
    if call == "shutdownBlocking", let lease = WorkerLeases.current as? Offload, lease.belongs(to: core) {
      throw UVError(
        .wouldDeadlock, call: "OffloadPool.\(call)",
        "\(call) was called on a thread of pool \"\(name)\" itself, and would wait for that. Use \(instead) instead.")
    }
  }
}

/// Makes a pool, and shuts it down however `body` ends.
///
/// ```swift
/// try await withOffloadPool(name: "db", threads: 3) { pool in
///   try await loop.offload(on: pool) { … }
/// }
/// ```
///
/// - Throws: What ``OffloadPool/init(name:threads:queueLimit:stackSize:onThreadStart:onThreadEnd:)`` throws, and what
///   `body` throws, unchanged.
///
/// > Isolation: `body` runs in the caller's isolation.
///
/// > Cancellation: `body` sees it; the shutdown happens all the same, and waits for the pool's calls.
public func withOffloadPool<R>(
  name: String = "pool", threads: Int = 4, queueLimit: Int = .max, stackSize: Int? = nil,
  onThreadStart: (@Sendable () throws -> Void)? = nil, onThreadEnd: (@Sendable () -> Void)? = nil,
  isolation: isolated (any Actor)? = #isolation, _ body: (OffloadPool) async throws -> R
) async throws -> R {
  let pool = try OffloadPool(
    name: name, threads: threads, queueLimit: queueLimit, stackSize: stackSize, onThreadStart: onThreadStart,
    onThreadEnd: onThreadEnd)
  let result: Result<R, any Error>
  do { result = .success(try await body(pool)) } catch { result = .failure(error) }
  await pool.shutdown()
  return try result.get()
}
