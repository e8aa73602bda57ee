// The file is long because one lock guards all of it: what a queue, a runner and a worker know must change in one step.

import CLibUV
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// The offloaded calls of one loop that wait. Everything in it is guarded by the ledger's lock.
final class OffloadQueue: @unchecked Sendable {  // Holds because of the line above.
  fileprivate let waiting = OffloadList()
  fileprivate var runners = RunnerCount()
  /// How many calls have come, for runners that look for the next.
  let arrivals = Atomic<Int>(0)
  fileprivate var times = OffloadTimes()
}

/// How long offloaded calls have waited for a worker, and how long they have run.
struct OffloadTimes {
  var isMeasured = false
  var waits = LatencyHistogram()
  var runs = LatencyHistogram()
}

/// The books of the pool: which offloaded calls wait, which run, and who waits for whom.
final class PoolLedger: @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var queues: [OffloadQueue] = []
  private var running = OffloadList()

  static let process = PoolLedger()

  /// In the child of a fork libuv makes a new pool and drops what was queued: so do the books. The lock is taken around
  /// the fork, since otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { PoolLedger.process.lock.lock() }, { PoolLedger.process.lock.unlock() },
      {
        PoolLedger.process.queues = []
        PoolLedger.process.running = OffloadList()
        PoolLedger.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  var size: Int { lock.withLock { PoolStart.size ?? PoolStart.sizeFromEnvironment } }

  func setSize(_ size: Int) throws(UVError) {
    if !(1...1_024).contains(size) {
      throw UVError(
        .invalidArgument, call: "ThreadPool.setSize", "A size of \(size) is not possible: it must be from 1 to 1,024.")
    }
    try lock.withLock { () throws(UVError) in
      if let size = PoolStart.size {
        throw UVError(
          .busy, call: "ThreadPool.setSize",
          "The pool has been used and keeps its \(size) threads. Set the size before the first offload.")
      }
      let status = unsafe setenv("UV_THREADPOOL_SIZE", "\(size)", 1)
      if status != 0 { throw UVError(status: -Posix.errno, call: "ThreadPool.setSize") }
    }
  }

  /// A loop's queue belongs to the books for as long as the loop may offload.
  func open(_ queue: OffloadQueue) { lock.withLock { queues.append(queue) } }

  func close(_ queue: OffloadQueue) { lock.withLock { queues.removeAll { $0 === queue } } }

  enum Admission {
    /// A runner is on its way, or about to look.
    case willBeTaken
    case needsRunner
    /// It has been cancelled and is not queued.
    case cancelled
  }

  /// Queues a call. Refused if it could never begin: every worker is held by a call which itself blocks in `runBlocking`,
  /// for something that waits in the queue or for this very call.
  func enqueue(_ offload: Offload, in queue: OffloadQueue) throws(UVError) -> Admission {
    let now = MonotonicClock.now()
    return try lock.withLock { () throws(UVError) in
      if offload.isWithdrawn { return .cancelled }
      let size = PoolStart.fixSize()
      if unsafe !offload.chain.isEmpty {
        let holders = running.filter { !$0.isOver }
        if holders.count >= size && holders.allSatisfy({ isStuck($0, behind: offload) }) {
          throw starvation(offload, holders)
        }
      }
      unsafe offload.since = now
      unsafe offload.place = .queued
      unsafe offload.queue = queue
      queue.waiting.append(offload)
      queue.arrivals.add(1, ordering: .releasing)
      let mustSend = queue.runners.mustSend(
        forWaiting: queue.waiting.count, poolSize: size,
        finishing: running.count { unsafe $0.queue === queue && $0.isLeaving })
      return mustSend ? .needsRunner : .willBeTaken
    }
  }

  /// Queues a call that no runner will take, so that it can be withdrawn; false if it has been cancelled.
  func keep(_ offload: Offload, in queue: OffloadQueue) -> Bool {
    lock.withLock {
      if offload.isWithdrawn { return false }
      unsafe offload.place = .queued
      unsafe offload.queue = queue
      queue.waiting.append(offload)
      return true
    }
  }

  private func isStuck(_ holder: Offload, behind newest: Offload) -> Bool {
    guard holder.isBlocked else { return false }
    return newest.waits(for: holder) || queues.contains { $0.waiting.contains { $0.waits(for: holder) } }
  }

  private func starvation(_ offload: Offload, _ running: [Offload]) -> UVError {
    let holders = running.map(\.title).joined(separator: ", ")
    return UVError(
      .wouldDeadlock, call: "offload",
      """
      \(offload.title) could never begin: all \(running.count) workers of the pool are held by calls that wait in \
      runBlocking for the pool: \(holders). Do not offload from inside an offloaded call, or make the pool larger with \
      ThreadPool.setSize. The call came from \(ThreadIdentity.current).
      """)
  }

  /// A runner begins: the call that it shall run, or nil if there is none any more.
  func begin(_ queue: OffloadQueue) -> Offload? {
    let now = MonotonicClock.now()
    return lock.withLock {
      queue.runners.begin()
      let offload = take(from: queue, at: now)
      if offload == nil { queue.runners.end() }
      return offload
    }
  }

  enum Next {
    case call(Offload)
    /// Another call, though the runner has had its share: the loop is to send its relief.
    case callBeforeRelief(Offload)
    /// To look for calls beyond those that have come.
    case look(beyond: Int)
    /// The runner has ended.
    case none
  }

  /// A runner has run a call: what it does next.
  func next(after offload: Offload, of queue: OffloadQueue, at now: Int64, hasHadShare: Bool) -> Next {
    lock.withLock {
      running.remove(offload)
      unsafe offload.place = .outside
      if queue.times.isMeasured { queue.times.runs.record(nanoseconds: unsafe now - offload.since) }
      let wantsRelief = hasHadShare && !queue.waiting.isEmpty
      if wantsRelief && queue.runners.mayEndBeforeOthers() {
        queue.runners.end()
        return .none
      }
      guard let next = take(from: queue, at: now) else {
        // Who has had its share ends: others may wait for the pool.
        if hasHadShare {
          queue.runners.end()
          return .none
        }
        queue.runners.look()
        return .look(beyond: queue.arrivals.load(ordering: .relaxed))
      }
      return wantsRelief ? .callBeforeRelief(next) : .call(next)
    }
  }

  /// A runner has looked: the call that it has found, or nil, and then it has ended.
  func endLook(_ queue: OffloadQueue) -> Offload? {
    let now = MonotonicClock.now()
    return lock.withLock {
      let offload = take(from: queue, at: now)
      queue.runners.endLook(found: offload != nil)
      return offload
    }
  }

  private func take(from queue: OffloadQueue, at now: Int64) -> Offload? {
    guard let offload = queue.waiting.popFirst() else { return nil }
    if queue.times.isMeasured { queue.times.waits.record(nanoseconds: unsafe now - offload.since) }
    unsafe offload.since = now
    unsafe offload.place = .running
    running.append(offload)
    return offload
  }

  /// Takes a call out of the queue that it waits in; false if it does not wait.
  func withdraw(_ offload: Offload) -> Bool {
    lock.withLock {
      if unsafe offload.place != .queued { return false }
      unsafe offload.place = .outside
      unsafe offload.queue?.waiting.remove(offload)
      return true
    }
  }

  /// Takes out all calls that wait.
  func withdrawAll(_ queue: OffloadQueue) -> [Offload] {
    lock.withLock {
      var all: [Offload] = []
      while let offload = queue.waiting.popFirst() {
        unsafe offload.place = .outside
        all.append(offload)
      }
      return all
    }
  }

  /// Whether one more runner must be sent for what waits, which is then counted.
  func mustSendRunner(to queue: OffloadQueue) -> Bool {
    lock.withLock { queue.runners.mustSend(forWaiting: queue.waiting.count, poolSize: PoolStart.size ?? 1) }
  }

  /// libuv gave a runner back that had not begun.
  func withdrawRunner(of queue: OffloadQueue) { lock.withLock { queue.runners.withdraw() } }

  /// Whether no call of a loop waits.
  func isEmpty(_ queue: OffloadQueue) -> Bool { lock.withLock { queue.waiting.isEmpty } }

  /// Whether no call of a loop waits or runs whose caller will go on after it. A call is counted until its task has gone
  /// home, and so is in the loop's queue if it lives there.
  func isQuiet(_ queue: OffloadQueue) -> Bool {
    lock.withLock {
      queue.waiting.isEmpty && running.allSatisfy { unsafe $0.queue !== queue || $0.isAbandoned }
    }
  }

  /// Whether nothing of a loop waits or runs that its shutdown waits for: of its runners that libuv has, each runs a call
  /// that is not waited for.
  func isSettled(_ queue: OffloadQueue, runners: Int) -> Bool {
    lock.withLock {
      // What an abandoned call held is released on the worker, and that may take as long as the call.
      func isExcused(_ offload: Offload) -> Bool { offload.isAbandoned || offload.isExcused && !offload.isOver }
      return queue.waiting.allSatisfy(isExcused)
        && running.count { unsafe $0.queue === queue && isExcused($0) } == runners
    }
  }

  /// What of a loop runs, the oldest first, and for how long it has.
  func running(_ queue: OffloadQueue) -> [(Offload, Duration)] {
    let now = MonotonicClock.now()
    return lock.withLock {
      oldestFirst { unsafe $0.queue === queue }
        .map { ($0, .nanoseconds(unsafe max(0, now - $0.since))) }
    }
  }

  /// What runs, by when it began: that is read before the lock is taken, so that the list's order may differ.
  private func oldestFirst(where isWanted: (Offload) -> Bool) -> [Offload] {
    running.filter { !$0.isOver && isWanted($0) }.sorted { unsafe $0.since < $1.since }
  }

  /// From now on.
  func measureTimes(of queue: OffloadQueue) { lock.withLock { queue.times.isMeasured = true } }

  /// How much of a loop waits and runs, and how long what has run did both.
  func summary(of queue: OffloadQueue) -> (queued: Int, running: Int, times: OffloadTimes) {
    lock.withLock {
      (queue.waiting.count, running.count { unsafe $0.queue === queue && !$0.isOver }, queue.times)
    }
  }

  /// What of a loop waits, the first in line first, and for how long it has.
  func waiting(_ queue: OffloadQueue) -> [(Offload, Duration)] {
    let now = MonotonicClock.now()
    return lock.withLock {
      queue.waiting.filter { _ in true }.map { ($0, .nanoseconds(unsafe max(0, now - $0.since))) }
    }
  }

  var statistics: ThreadPool.Statistics {
    let now = MonotonicClock.now()
    return lock.withLock {
      let running = oldestFirst { _ in true }
      return ThreadPool.Statistics(
        queued: queues.reduce(0) { $0 + $1.waiting.count }, running: running.count,
        jobs: running.map { ThreadPool.Job(label: $0.label, age: .nanoseconds(unsafe max(0, now - $0.since))) },
        oldestQueued: queues.compactMap { queue in queue.waiting.first { _ in true }.map { unsafe $0.since } }.min()
          .map { .nanoseconds(max(0, now - $0)) })
    }
  }
}
