import CLibUV

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// libuv's thread pool: one in a process, shared by all loops, by what is offloaded, and by libuv's own file and name
/// requests.
///
/// It has 4 threads unless `UV_THREADPOOL_SIZE` says otherwise, and starts them all at its first use; on Linux they are
/// named `libuv-worker`. What is counted here are offloaded calls; requests of C code on the same pool are not seen.
///
/// When the process ends by `exit` libuv waits for the pool, for work that runs *and* work that is queued
/// (`threadpool.c`): an offloaded call that never ends keeps the process alive.
///
/// > Isolation: Everything here may be called on any thread.
///
/// > libuv: `uv_queue_work`, "Thread pool work scheduling" in its manual.
public enum ThreadPool {
  /// What the pool does at a moment.
  public struct Statistics: Sendable {
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
  public struct Job: Sendable, Hashable {
    /// The label given to `offload`.
    public let label: String?
    /// For how long it has run.
    public let age: Duration
  }

  /// How many threads the pool has, or will have when it is first used.
  ///
  /// > libuv: `UV_THREADPOOL_SIZE`, read as libuv reads it: 4 without it, 1 for 0 and for what is no number, at most
  /// 1,024.
  public static var size: Int { PoolLedger.process.size }

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
  public static func setSize(_ size: Int) throws(UVError) { try PoolLedger.process.setSize(size) }

  /// What the pool does now.
  public static var statistics: Statistics { PoolLedger.process.statistics }
}

/// The books of the pool: which offloaded calls wait, which run, and who waits for whom.
final class PoolLedger: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var fixedSize: Int?
  private var queued: [ObjectIdentifier: (offload: Offload, since: Int64)] = [:]
  private var running: [(offload: Offload, since: Int64)] = []

  static let process = PoolLedger()

  /// In the child of a fork libuv makes a new pool and drops what was queued: so do the books. The lock is taken around
  /// the fork, since otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { PoolLedger.process.lock.lock() }, { PoolLedger.process.lock.unlock() },
      {
        PoolLedger.process.queued = [:]
        PoolLedger.process.running = []
        PoolLedger.process.fixedSize = nil
        PoolLedger.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  var size: Int { lock.withLock { fixedSize ?? PoolLedger.sizeFromEnvironment() } }

  private static func sizeFromEnvironment() -> Int {
    guard let text = unsafe getenv("UV_THREADPOOL_SIZE") else { return 4 }
    // libuv stores the result unsigned: a negative number is a very large one.
    let number = unsafe atoi(text)
    return number == 0 ? 1 : number < 0 ? 1_024 : min(Int(number), 1_024)
  }

  func setSize(_ size: Int) throws(UVError) {
    if !(1...1_024).contains(size) {
      throw UVError(
        .invalidArgument, call: "ThreadPool.setSize", "A size of \(size) is not possible: it must be from 1 to 1,024.")
    }
    try lock.withLock { () throws(UVError) in
      if fixedSize != nil {
        throw UVError(
          .busy, call: "ThreadPool.setSize",
          "The pool has been used and keeps its \(fixedSize ?? 0) threads. Set the size before the first offload.")
      }
      let status = unsafe setenv("UV_THREADPOOL_SIZE", "\(size)", 1)
      if status != 0 { throw UVError(status: -Posix.errno, call: "ThreadPool.setSize") }
    }
  }

  /// A call is about to be queued. Refused if it could never begin: every worker is held by a call which itself blocks
  /// in `runBlocking`, for something that waits in the queue or for this very call. True if it is the pool's first.
  func enqueue(_ offload: Offload) throws(UVError) -> Bool {
    try lock.withLock { () throws(UVError) in
      let isFirst = fixedSize == nil
      let size = fixedSize ?? PoolLedger.sizeFromEnvironment()
      fixedSize = size
      if !offload.chain.isEmpty && running.count >= size && running.allSatisfy({ isStuck($0.offload, behind: offload) })
      {
        throw starvation(offload)
      }
      queued[ObjectIdentifier(offload)] = (offload, MonotonicClock.now())
      return isFirst
    }
  }

  private func isStuck(_ holder: Offload, behind newest: Offload) -> Bool {
    guard holder.isBlocked else { return false }
    return newest.waits(for: holder) || queued.values.contains { $0.offload.waits(for: holder) }
  }

  private func starvation(_ offload: Offload) -> UVError {
    let holders = running.map { $0.offload.title }.joined(separator: ", ")
    return UVError(
      .wouldDeadlock, call: "offload",
      """
      \(offload.title) could never begin: all \(running.count) workers of the pool are held by calls that wait in \
      runBlocking for the pool: \(holders). Do not offload from inside an offloaded call, or make the pool larger with \
      ThreadPool.setSize. The call came from \(ThreadIdentity.current).
      """)
  }

  func begin(_ offload: Offload) {
    let now = MonotonicClock.now()
    lock.withLock {
      queued[ObjectIdentifier(offload)] = nil
      running.append((offload, now))
    }
  }

  func end(_ offload: Offload) {
    lock.withLock { running.removeAll { $0.offload === offload } }
  }

  /// It was taken out of the queue.
  func withdraw(_ offload: Offload) {
    lock.withLock { queued[ObjectIdentifier(offload)] = nil }
  }

  /// For how long a call has run; nil if it does not.
  func age(of offload: Offload) -> Duration? {
    let now = MonotonicClock.now()
    return lock.withLock {
      running.first { $0.offload === offload }.map { .nanoseconds(now - $0.since) }
    }
  }

  var statistics: ThreadPool.Statistics {
    let now = MonotonicClock.now()
    return lock.withLock {
      ThreadPool.Statistics(
        queued: queued.count, running: running.count,
        jobs: running.sorted { $0.since < $1.since }.map {
          ThreadPool.Job(label: $0.offload.label, age: .nanoseconds(now - $0.since))
        },
        oldestQueued: queued.values.map(\.since).min().map { .nanoseconds(now - $0) })
    }
  }
}
