// The file is long because one lock guards all of it: what waits, who runs what, and who is woken must change in one
// step.
//
// A worker is a thread, from the first call for which there was none to the shutdown:
//
//   starting ──start hook──▶ running a call ──no other waits──▶ spinning ──none came──▶ idle ──woken──▶ running
//                                 │ ▲                              │                      │
//                                 │ └──────────────────────────────┘                      │
//                                 └──closed, and none waits──▶ end hook ──▶ gone ◀────────┘
//
// At most one thread searches at a time: one that spins, was woken, or is being started. Who takes a call and leaves
// others behind sends the next one. So a burst wakes as many threads as it keeps busy, each once, and whoever adds a
// call makes at most one system call. One thread spins, for some microseconds: a loop that offloads short calls one
// after the other would otherwise wake a thread for each.

import Synchronization

/// The threads of an ``OffloadPool``, and the calls that wait for them.
///
/// Its users keep it, each of its threads, and until it has ended the scheduler, which looks at all pools.
// Holds because every variable is guarded by `lock`, but for `arrivals`.
final class WorkerPool: ReportedEnd, WatchedWork, @unchecked Sendable {
  /// One thread.
  private final class Worker {
    let number: Int
    /// What it runs, a hook too.
    var call: Offload?
    /// It has found none, and does not sleep yet: it looks again.
    var isLooking = false
    /// It runs a hook, and it will take a call when its start hook has ended.
    var isInHook = false
    var isBeginning = false

    init(_ number: Int) { self.number = number }
  }

  /// Whom to send for the calls that wait.
  private enum Step {
    case none, wake
    case start(Worker)
  }

  let options: Options
  let generation = ProcessGeneration.join()
  private let lock = Lock()
  private let line = OffloadLine()
  /// How many of those in line are jobs of tasks.
  private var queuedJobs = 0
  /// How many calls have come, for the thread that spins until the next one.
  private let arrivals = Atomic<Int>(0)
  private var workers: [Worker] = []
  private var lastNumber = 0
  /// Threads that wait and have not been woken; those that have been, and have not come so far.
  private var idle = 0
  private var woken = 0
  private var isSpinning = false
  private var isStarting = false
  /// The last thread that was to be started could not be, or its hook failed.
  private var hasFailedToStart = false
  private var times = OffloadTimes()
  private var isClosed = false
  private var began: Int64?
  /// What did not begin because the time of a shutdown was over.
  private var dropped: [ShutdownReport.Unfinished] = []
  private var isExpired = false
  private var observer: (any WorkerObserver)?
  private var report: ShutdownReport?
  private var waiters: [@Sendable (ShutdownReport) -> Void] = []
  /// For how long a thread spins, waiting for another call.
  private static let spinTime: Int64 = 10_000
  private static let droppedLimit = 1_000

  init(_ options: Options) {
    self.options = options
    OffloadScheduler.process.register(self)
  }

  // MARK: - On any thread: calls

  /// Puts a call in line; false if it has been cancelled. From here on it may be run and freed.
  ///
  /// Throws where the pool is closed or full, and where the call could never begin. Not for a job of a task: where that
  /// cannot run here its caller runs it elsewhere.
  func add(_ call: Offload) throws(UVError) -> Bool {
    requireOwnProcess()
    let step: Step?
    if unsafe call.chain.isEmpty {
      step = try lock.withLock { () throws(UVError) in try append(call) }
    } else {
      step = try OffloadScheduler.process.withAllPools { () throws(UVError) in
        try OffloadScheduler.process.refuseDeadlock(of: call, in: self)
        return try append(call)
      }
    }
    guard let step else { return false }
    send(step)
    return true
  }

  /// Under the lock. Nil if the call has been cancelled.
  private func append(_ call: Offload) throws(UVError) -> Step? {
    if isClosed { throw closedError }
    // A loop that looks for its calls here, to end, has said so before: one of the two sees the other.
    if let loop = call.loop, loop.life.hasDrained { throw loop.closedError("offload") }
    if call.isWithdrawn { return nil }
    if call.failsWhenFull && isFull {
      throw UVError(
        .busy, call: "OffloadPool",
        """
        \(call.title) was refused: as many calls wait for pool "\(options.name)" as may, \(options.queueLimit). Try \
        again later, wait for room with `whenFull: .wait`, or make the limit larger.
        """)
    }
    unsafe call.since = MonotonicClock.now()
    line.append(call)
    if call.isTaskJob { queuedJobs += 1 }
    arrivals.add(1, ordering: .releasing)
    return nextStep()
  }

  /// Whether as many calls wait for a thread as may, not counting those for which there is one. Under the lock.
  private var isFull: Bool {
    let queued = line.count - queuedJobs
    return queued >= free && queued - free >= options.queueLimit
  }

  /// How many threads there are, or may be, that run nothing. Under the lock.
  private var free: Int { options.threads - workers.count { !$0.isBeginning && $0.call?.isOver == false } }

  /// Takes a call out that was cancelled, or has no caller any more; false if it has begun.
  ///
  /// - Parameter dropped: Whether a shutdown is to name it.
  func withdraw(_ call: Offload, dropped isDropped: Bool) -> Bool {
    let (isFound, ends) = lock.withLock {
      let line = unsafe call.line
      line?.remove(call)
      if line != nil && call.isTaskJob { queuedJobs -= 1 }
      if line != nil && isDropped { drop([call]) }
      // Also where it runs and is abandoned, a shutdown waits for it no more.
      return (line != nil, endIfOver())
    }
    ends?()
    return isFound
  }

  var closedError: UVError { closedError("OffloadPool") }

  private func closedError(_ call: String) -> UVError {
    UVError(.poolClosed, call: call, "Pool \"\(options.name)\" has been shut down, and takes no more calls.")
  }

  // MARK: - On any thread: threads

  /// Under the lock, when a call has been put in line, or one was taken and others are left.
  private func nextStep() -> Step {
    if line.isEmpty || isSpinning || woken > 0 { return .none }
    // Some have run their call, and are about to take the next: who waited for it may be here with that already.
    // One behind its start hook may have failed.
    let coming = workers.count { $0.isLooking || !$0.isInHook && $0.call?.isLeaving == true }
    if coming >= line.count { return .none }
    if idle > 0 {
      idle -= 1
      woken += 1
      return .wake
    }
    if isStarting || workers.count >= options.threads { return .none }
    isStarting = true
    lastNumber += 1
    let worker = Worker(lastNumber)
    workers.append(worker)
    return .start(worker)
  }

  /// Without the lock.
  private func send(_ step: Step) {
    switch step {
    case .none: break
    case .wake: lock.wakeOne()
    case .start(let worker): start(worker)
    }
  }

  private func start(_ worker: Worker) {
    // Made on the thread and nowhere else used: nobody else has it.
    let sent = Disconnected(worker)
    do throws(UVError) {
      try DetachedThread.start(named: "\(options.name)-\(worker.number)", stackSize: options.stackSize) {
        unsafe self.work(sent.value)
      }
    } catch {
      leave(worker, afterFailedStart: error)
    }
  }

  /// The thread is gone, or has never been. What waits will not begin where there is no other, or where all others
  /// wait for that.
  private func leave(_ worker: Worker, afterFailedStart failure: (any Error)? = nil) {
    var refused: [Offload] = []
    let ends = lock.withLock {
      workers.removeAll { $0 === worker }
      if failure != nil {
        if !worker.isBeginning { isStarting = false }
        hasFailedToStart = true
        if workers.isEmpty {
          refused = emptyLine()
          drop(refused.filter { !$0.isAwaited })
        }
      }
      return endIfOver()
    }
    if let failure {
      for call in refused { call.refuse(failure) }
      OffloadScheduler.process.refuseStuck(after: (self, failure))
    }
    // Who is told of the end finds it in no list.
    unregisterIfGone()
    ends?()
  }

  /// It has no threads any more, and gets none.
  private func unregisterIfGone() {
    let (isGone, last) = lock.withLock {
      let isGone = isClosed && workers.isEmpty && !isStarting && line.isEmpty
      return (isGone, isGone ? observer.take() : nil)
    }
    last?.end()
    if isGone { OffloadScheduler.process.unregister(self) }
  }

  // MARK: - On a worker

  private func work(_ worker: Worker) {
    if let hook = options.onThreadStart {
      do { try run(hook, isStart: true, on: worker) } catch { return leave(worker, afterFailedStart: error) }
    }
    var (call, step) = lock.withLock {
      if !worker.isBeginning { isStarting = false }
      worker.isBeginning = false
      hasFailedToStart = false
      return take(worker, at: MonotonicClock.now())
    }
    send(step)
    // Nothing of a call is kept while the thread waits for the next.
    while let current = call.take() ?? wait(worker) {
      current.runOnWorker()
      call = next(worker, after: current)
    }
    if let hook = options.onThreadEnd { try? run(hook, isStart: false, on: worker) }
    leave(worker)
  }

  /// Runs a hook as a call that has the thread: what it waits for may need another one, and who asks sees it.
  private func run(_ hook: @escaping @Sendable () throws -> Void, isStart: Bool, on worker: Worker) throws {
    let outcome = BlockingCall<Void>()
    let label = isStart ? "the start hook" : "the end hook"
    let call = Offload(in: self, label: label, isAwaited: false) { _ in
      outcome.finish(Result { Disconnected(try hook()) })
    }
    let step = lock.withLock {
      unsafe call.since = MonotonicClock.now()
      unsafe call.observer = observer
      worker.call = call
      worker.isInHook = true
      if isStart { isStarting = false }
      worker.isBeginning = isStart
      // As many as calls wait, and no more for those: but who comes later does not wait for a hook that takes long.
      return workers.count(where: \.isBeginning) < line.count ? nextStep() : .none
    }
    send(step)
    call.runOnWorker()
    lock.withLock {
      worker.call = nil
      worker.isInHook = false
    }
    if case .failure(let error) = outcome.wait(until: nil) { throw error }
  }

  /// Under the lock: gives the worker the next call, if one waits, and says whom to send for the others.
  private func take(_ worker: Worker, at now: Int64) -> (Offload?, Step) {
    worker.call = line.popFirst()
    worker.isLooking = worker.call == nil
    guard let call = worker.call else { return (nil, .none) }
    if call.isTaskJob { queuedJobs -= 1 }
    times.waits.record(nanoseconds: unsafe now - call.since)
    unsafe call.since = now
    if let observer { unsafe call.observer = observer }
    return (call, nextStep())
  }

  /// It has run a call: the next one, if one waits.
  private func next(_ worker: Worker, after call: Offload) -> Offload? {
    let now = MonotonicClock.now()
    lock.lock()
    times.runs.record(nanoseconds: unsafe now - call.since)
    let (next, step) = take(worker, at: now)
    let ends = next == nil ? endIfOver() : nil
    lock.unlock()
    send(step)
    call.leftWorker()
    ends?()
    return next
  }

  /// Spins, if nobody does, and sleeps then. Nil once the pool is closed and nothing waits.
  private func wait(_ worker: Worker) -> Offload? {
    lock.lock()
    var mustSpin = !isSpinning && !isClosed
    while true {
      let (call, step) = take(worker, at: MonotonicClock.now())
      if call != nil || isClosed {
        lock.unlock()
        send(step)
        return call
      }
      if mustSpin {
        mustSpin = false
        isSpinning = true
        let seen = arrivals.load(ordering: .relaxed)
        lock.unlock()
        spin(beyond: seen)
        lock.lock()
        isSpinning = false
      } else {
        worker.isLooking = false
        idle += 1
        while woken == 0 && !isClosed { lock.wait() }
        // Who closes the pool wakes all.
        if woken > 0 { woken -= 1 } else { idle -= 1 }
      }
    }
  }

  /// Returns when more calls have come, or it has been long enough. It lets others have its CPU: where that is the
  /// loop's, the next calls come just then.
  private func spin(beyond seen: Int) {
    let end = MonotonicClock.now() + WorkerPool.spinTime
    repeat { Posix.yield() } while arrivals.load(ordering: .acquiring) == seen && MonotonicClock.now() < end
  }

  // MARK: - On any thread: the end

  /// Takes no more calls, and lets the threads go when those have ended that there are.
  func close() {
    let ends = lock.withLock {
      if began == nil { began = MonotonicClock.now() }
      isClosed = true
      lock.wakeAll()
      return endIfOver()
    }
    unregisterIfGone()
    ends?()
  }

  /// The same for a shutdown, which does not wait for the call that asks for it.
  func requestShutdown(_ deliver: @escaping @Sendable (ShutdownReport) -> Void) {
    requireOwnProcess()
    for case let call as Offload in WorkerLeases.chain where call.isBlocked { call.exempt(from: self) }
    (WorkerLeases.current as? Offload)?.exempt(from: self)
    let old = lock.withLock {
      if report == nil { waiters.append(deliver) }
      return report
    }
    if let old { return deliver(old) }
    close()
    // Threads may wait for this end, and what is in line for them.
    OffloadScheduler.process.refuseStuck(awaitingEndOf: self)
  }

  /// The time of a shutdown is over: what has not begun never does, and what runs is named.
  func expire() {
    var refused: [Offload] = []
    let ends = lock.withLock {
      if report != nil { return endIfOver() }
      refused = emptyLine()
      drop(refused)
      isExpired = true
      return endIfOver()
    }
    for call in refused { call.refuse(closedError) }
    ends?()
  }

  /// Under the lock: all that wait, which do so no more.
  private func emptyLine() -> [Offload] {
    queuedJobs = 0
    return line.removeAll()
  }

  /// Under the lock: a report is to name them, as many as anybody reads. Jobs of tasks run elsewhere.
  private func drop(_ calls: [Offload]) {
    dropped += unfinished(calls.filter { !$0.isTaskJob }.prefix(max(0, WorkerPool.droppedLimit - dropped.count)))
  }

  private func unfinished(_ calls: some Sequence<Offload>) -> [ShutdownReport.Unfinished] {
    let now = MonotonicClock.now()
    return calls.map { call in
      unsafe .init(
        kind: .offload, label: call.label, age: .nanoseconds(max(0, now - call.since)), pool: options.name)
    }
  }

  /// Under the lock: who is to be told that the pool has ended, to be called without it.
  private func endIfOver() -> (() -> Void)? {
    if report != nil || !isClosed { return nil }
    if !isExpired && !(line.isEmpty && workers.allSatisfy { $0.call?.isExemptFromPool == true }) { return nil }
    let now = MonotonicClock.now()
    var report = ShutdownReport()
    let late = workers.compactMap(\.call).filter { !$0.isExemptFromPool || $0.isAbandoned }
    report.unfinished = unfinished(late) + dropped
    report.duration = .nanoseconds(now - (began ?? now))
    self.report = report
    let told = waiters
    waiters = []
    return { for deliver in told { deliver(report) } }
  }

  // MARK: - On any thread: what it does

  /// What threads have, until they have the next, and what waits.
  var calls: (held: [Offload], waiting: [Offload]) {
    lock.withLock { (workers.compactMap(\.call), line.waiting) }
  }

  /// What of a loop runs and what waits, and for how long.
  func calls(of loop: LoopCore, at now: Int64) -> (running: [(Offload, Duration)], waiting: [(Offload, Duration)]) {
    func aged(_ calls: [Offload]) -> [(Offload, Duration)] {
      calls.filter { $0.loop === loop }.map { $0.aged(at: now) }
    }
    return lock.withLock {
      let (running, waiting) = lockedCalls
      return (aged(running), aged(waiting))
    }
  }

  /// How many threads it will have. Under the lock, as the next.
  var lockedSize: Int { hasFailedToStart ? max(1, workers.count) : options.threads }

  var isEnding: Bool { isClosed }

  /// What runs, the oldest first, and what waits, the first in line first. Under the lock.
  var lockedCalls: (running: [Offload], waiting: [Offload]) {
    (workers.compactMap(\.call).filter { !$0.isOver }.sorted { unsafe $0.since < $1.since }, line.waiting)
  }

  var statistics: OffloadPool.Statistics {
    requireOwnProcess()
    let now = MonotonicClock.now()
    return lock.withLock {
      let waiting = line.waiting
      let running = workers.filter { !$0.isInHook }.compactMap(\.call).filter { !$0.isOver }
        .sorted { unsafe $0.since < $1.since }
      let queued = waiting.count - queuedJobs
      let waitingForRoom = max(0, max(0, queued - free) - options.queueLimit)
      return OffloadPool.Statistics(
        name: options.name, threads: workers.count, queued: queued - waitingForRoom,
        waitingForRoom: waitingForRoom, running: running.count,
        jobs: running.map { ThreadPool.Job(label: $0.label, age: .nanoseconds(unsafe max(0, now - $0.since))) },
        oldestQueued: waiting.first.map { .nanoseconds(unsafe max(0, now - $0.since)) },
        tasksQueued: queuedJobs, tasksRunning: running.count(where: \.isTaskJob),
        waits: times.waits, runs: times.runs)
    }
  }

  var title: String { "pool \"\(options.name)\"" }

  var loads: [WorkLoad] {
    lock.withLock {
      let running = workers.compactMap(\.call).filter { !$0.isLeaving }.map { WorkLoad.Running($0) }
      return [
        WorkLoad(
          id: ObjectIdentifier(self), queued: line.count, oldest: line.waiting.first.map { unsafe $0.since },
          running: running.sorted { $0.since < $1.since })
      ]
    }
  }

  func observe(with new: (any WorkerObserver)?) throws(UVError) -> (any WorkerObserver)? {
    requireOwnProcess()
    return try lock.withLock { () throws(UVError) in
      if new != nil && isClosed { throw closedError("OffloadPool.startWatchdog") }
      let old = observer
      observer = new
      return old
    }
  }

  /// For who looks at all pools at once; see `OffloadScheduler`.
  func acquire() { lock.lock() }
  func release() { lock.unlock() }
}
