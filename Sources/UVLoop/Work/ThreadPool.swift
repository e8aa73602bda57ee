/// libuv's thread pool: one in a process, shared by all loops, by what is offloaded, and by libuv's own file and name
/// requests.
///
/// It has 4 threads unless `UV_THREADPOOL_SIZE` says otherwise, and starts them all at its first use; on Linux they are
/// named `libuv-worker`. What is counted here are offloaded calls; requests of C code on the same pool are not seen.
///
/// When the process ends by `exit` libuv waits for the pool, for work that runs *and* work that is queued
/// (`threadpool.c`): an offloaded call that never ends keeps the process alive. What is offloaded from then on does not
/// begin any more: it waits for the end of the process, or of its loop, or until it is cancelled. What a call that runs
/// waits for in `runBlocking` is refused with ``UVError/Code/loopClosed``, since `exit` waits for that call; and so is
/// what a function waits for that was registered with `atexit` before the first loop was made. One that was registered
/// later runs before all this. Not seen is a call that waits for something else which only a call that cannot begin any
/// more would bring, or the thread that exits: then `exit` does not end. Shut loops down before.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > libuv: `uv_queue_work`, "Thread pool work scheduling" in its manual.
public enum ThreadPool {
  /// What the pool does at a moment.
  public struct Statistics: Sendable, Codable {
    /// Offloaded calls that wait for a worker.
    public let queued: Int
    /// Offloaded calls that run.
    public let running: Int
    /// What runs, the oldest first.
    public let jobs: [Job]
    /// For how long the oldest call has waited for a worker; nil if none waits.
    public let oldestQueued: Duration?
  }

  /// An offloaded call that runs.
  public struct Job: Sendable, Hashable, Codable {
    /// The label given to `offload`.
    public let label: String?
    /// For how long it has run.
    public let age: Duration
  }

  /// How many threads the pool has, or will have when it is first used.
  ///
  /// > libuv: `UV_THREADPOOL_SIZE`, read as libuv reads it: 4 without it, 1 for 0 and for what is no number, at most
  /// 1,024.
  public static var size: Int { OffloadScheduler.process.size }

  /// Sets how many threads the pool has.
  ///
  /// Call it at the start of the program, before other threads exist: it sets an environment variable, which is not
  /// safe while another thread reads the environment. All threads are started at the first use, and the process aborts
  /// if one of them cannot be; large sizes are at your risk.
  ///
  /// - Parameter size: From 1 to 1,024.
  /// - Throws: ``UVError/Code/invalidArgument`` for another number; ``UVError/Code/busy`` once something has been
  ///   offloaded. C code that used the pool before is not noticed, and then this call has no effect.
  ///
  /// > libuv: `UV_THREADPOOL_SIZE`.
  public static func setSize(_ size: Int) throws(UVError) { try OffloadScheduler.process.setSize(size) }

  /// What the pool does now.
  public static var statistics: Statistics { OffloadScheduler.process.statistics }
}
