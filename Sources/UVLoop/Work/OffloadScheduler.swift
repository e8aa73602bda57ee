// The file is long because one lock guards all of it: what a queue, a pool task and a worker know must change in one
// step.

import CLibUV
import Synchronization

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#elseif canImport(Darwin)
  import Darwin
#endif

/// Which offloaded calls of the process wait, which run, and who waits for whom; and what a pool task does next.
final class OffloadScheduler: WatchedWork, @unchecked Sendable {  // Holds because every variable is guarded by `lock`.
  private let lock = Lock()
  private var queues: [OffloadQueue] = []
  /// The lanes in which calls have places, or wait for one.
  private var lanes: [LaneState] = []
  /// The pools of one's own that have not ended.
  private var pools: [WorkerPool] = []
  /// The actors' threads that have not ended.
  private var threads: [ThreadExecutor] = []
  private var observer: (any WorkerObserver)?

  static let process = OffloadScheduler()

  /// In the child of a fork libuv makes a new pool and drops what was queued, and so is it here. The lock is taken
  /// around the fork, since otherwise the child may inherit it locked by a thread that it does not have.
  private init() {
    let status = pthread_atfork(
      { OffloadScheduler.process.lock.lock() }, { OffloadScheduler.process.lock.unlock() },
      {
        OffloadScheduler.process.queues = []
        OffloadScheduler.process.lanes = []
        // Their locks may be somebody's who is not here, and so they are not looked at, nor freed.
        let lost: [AnyObject] = OffloadScheduler.process.pools + OffloadScheduler.process.threads
        for object in lost { _ = unsafe Unmanaged.passRetained(object) }
        OffloadScheduler.process.pools = []
        OffloadScheduler.process.threads = []
        if let watchdog = OffloadScheduler.process.observer { _ = unsafe Unmanaged.passRetained(watchdog as AnyObject) }
        OffloadScheduler.process.observer = nil
        OffloadScheduler.process.lock.unlock()
      })
    if status != 0 { fatalError("UVLoop: pthread_atfork failed with errno \(status).") }
  }

  // MARK: On any thread

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

  /// A queue is here for as long as its loop may offload.
  func register(_ queue: OffloadQueue) { lock.withLock { queues.append(queue) } }

  func unregister(_ queue: OffloadQueue) { lock.withLock { queues.removeAll { $0 === queue } } }

  func register(_ pool: WorkerPool) { lock.withLock { pools.append(pool) } }

  func unregister(_ pool: WorkerPool) { lock.withLock { pools.removeAll { $0 === pool } } }

  func register(_ thread: ThreadExecutor) { lock.withLock { threads.append(thread) } }

  func unregister(_ thread: ThreadExecutor) { lock.withLock { threads.removeAll { $0 === thread } } }

  /// The pools of one's own and the actors' threads that have not ended.
  var ownThreads: (pools: [WorkerPool], threads: [ThreadExecutor]) { lock.withLock { (pools, threads) } }

  /// What of a loop waits and runs on pools of one's own, and what waits in lanes.
  ///
  /// One that runs is counted until its task has gone home, and so is in the loop's queue if it lives there.
  private func callsElsewhere(of loop: LoopCore) -> (held: [Offload], waiting: [Offload]) {
    let (pools, inLanes) = lock.withLock { (self.pools, waitingInLanes(of: loop)) }
    let all = pools.map(\.calls)
    let held = all.flatMap(\.held).filter { $0.loop === loop }
    return (held, all.flatMap(\.waiting).filter { $0.loop === loop } + inLanes)
  }

  /// Takes a call out of the queue that it waits in; false if it does not wait.
  func withdraw(_ offload: Offload) -> Bool {
    let (isFound, admitted) = lock.withLock { () -> (Bool, [Offload]) in
      guard let line = unsafe offload.line else { return (false, []) }
      line.remove(offload)
      return (true, leave(offload))
    }
    LaneState.send(for: admitted)
    return isFound
  }

  // MARK: On any thread: lanes

  /// Under the lock.
  private func waitingInLanes(of loop: LoopCore) -> [Offload] {
    lanes.flatMap { $0.line.waiting }.filter { $0.loop === loop }
  }

  /// Under the lock: a call needs its place no more. Those that get one are to be sent for.
  private func leave(_ offload: Offload) -> [Offload] {
    guard let lane = offload.lane else { return [] }
    lane.leave(offload)
    return admit(lane)
  }

  /// Under the lock.
  private func admit(_ lane: LaneState) -> [Offload] {
    let admitted = lane.admit(at: MonotonicClock.now())
    if !lane.isInUse { lanes.removeAll { $0 === lane } }
    return admitted
  }

  func setLimit(_ limit: Int, of lane: LaneState) {
    let (admitted, mayBeStuck) = lock.withLock {
      lane.limit = limit
      return (admit(lane), lane.mayBeStuck)
    }
    LaneState.send(for: admitted)
    if mayBeStuck { refuseStuck() }
  }

  func limit(of lane: LaneState) -> Int { lock.withLock { lane.limit } }

  func statistics(of lane: LaneState) -> OffloadLane.Statistics {
    let now = MonotonicClock.now()
    return lock.withLock { lane.statistics(at: now) }
  }

  /// Those in use.
  var laneStatistics: [OffloadLane.Statistics] {
    let now = MonotonicClock.now()
    return lock.withLock { lanes.map { $0.statistics(at: now) } }
  }

  /// What of a loop runs and what waits, wherever that is, and for how long. Its queue, if it has one, is looked at
  /// together with the lanes: a call goes from one to the other.
  func calls(
    of loop: LoopCore, _ queue: OffloadQueue?
  ) -> (running: [(Offload, Duration)], waiting: [(Offload, Duration)]) {
    let now = MonotonicClock.now()
    var (pools, running, waiting) = lock.withLock {
      (
        self.pools, queue.map { oldestFirst([$0]).map { $0.aged(at: now) } } ?? [],
        ((queue?.line.waiting ?? []) + waitingInLanes(of: loop)).map { $0.aged(at: now) }
      )
    }
    for pool in pools {
      let calls = pool.calls(of: loop, at: now)
      running += calls.running
      waiting += calls.waiting
    }
    return (running, waiting)
  }

  /// What runs, by when it began: that is read before the lock is taken, so that pool tasks may have begun in another
  /// order.
  private func oldestFirst(_ queues: [OffloadQueue]) -> [Offload] {
    queues.flatMap(\.running).filter { !$0.isOver }.sorted { unsafe $0.since < $1.since }
  }

  /// From now on.
  func measureTimes(of queue: OffloadQueue) { lock.withLock { queue.measuresTimes = true } }

  /// How long calls of a loop have waited for libuv's pool, and run there.
  func times(of queue: OffloadQueue) -> OffloadTimes { lock.withLock { queue.times } }

  var statistics: ThreadPool.Statistics {
    let now = MonotonicClock.now()
    return lock.withLock {
      let running = oldestFirst(queues)
      return ThreadPool.Statistics(
        queued: queues.reduce(0) { $0 + $1.line.count }, running: running.count,
        jobs: running.map { ThreadPool.Job(label: $0.label, age: .nanoseconds(unsafe max(0, now - $0.since))) },
        oldestQueued: queues.compactMap { queue in queue.line.waiting.first.map { unsafe $0.since } }.min()
          .map { .nanoseconds(max(0, now - $0)) })
    }
  }

  // MARK: On any thread: watched

  var title: String { "libuv's pool" }

  var loads: [WorkLoad] {
    lock.withLock {
      let running = queues.flatMap(\.running).filter { !$0.isLeaving }.sorted { unsafe $0.since < $1.since }
      // The wait for a place in a lane was none for a worker.
      let own = WorkLoad(
        id: ObjectIdentifier(self), queued: queues.reduce(0) { $0 + $1.line.count },
        oldest: queues.compactMap { queue in
          queue.line.waiting.first.map { unsafe $0.lane?.admission(of: $0) ?? $0.since }
        }.min(),
        running: running.map { .init($0) })
      return [own] + lanes.map(\.load)
    }
  }

  func observe(with new: (any WorkerObserver)?) -> (any WorkerObserver)? {
    lock.withLock {
      let old = observer
      observer = new
      return old
    }
  }

  // MARK: On the loop

  enum Admission {
    /// A pool task is on its way, or about to take one.
    case willBeTaken
    case needsPoolTask
    /// It waits for a place in its lane.
    case waitsInLane
    /// It has been cancelled and is not queued.
    case cancelled
  }

  /// Queues a call. Refused if it could never begin; see ``OffloadDeadlock``.
  func enqueue(_ offload: Offload, in queue: OffloadQueue) throws(UVError) -> Admission {
    let now = MonotonicClock.now()
    if unsafe offload.chain.isEmpty { return lock.withLock { append(offload, to: queue, at: now) } }
    return try withAllPools { () throws(UVError) in
      try refuseDeadlock(of: offload, in: nil)
      return append(offload, to: queue, at: now)
    }
  }

  /// Under the lock.
  private func append(_ offload: Offload, to queue: OffloadQueue, at now: Int64) -> Admission {
    if offload.isWithdrawn { return .cancelled }
    let size = PoolStart.fixSize()
    unsafe offload.since = now
    if let lane = offload.lane {
      unsafe offload.queue = queue
      if !lane.isInUse { lanes.append(lane) }
      if !lane.takes(offload) { return .waitsInLane }
    }
    queue.line.append(offload)
    queue.arrivals.add(1, ordering: .releasing)
    let mustSubmit = queue.poolTasks.mustSubmit(
      forWaiting: queue.line.count, poolSize: size, finishing: queue.active.count { $0.call?.isLeaving == true })
    return mustSubmit ? .needsPoolTask : .willBeTaken
  }

  /// Queues a call that no pool task will take, so that it can be withdrawn; false if it has been cancelled.
  func keep(_ offload: Offload, in queue: OffloadQueue) -> Bool {
    lock.withLock {
      if offload.isWithdrawn { return false }
      queue.line.append(offload)
      return true
    }
  }

  /// Runs `body` while nothing begins or ends on any pool.
  func withAllPools<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
    try lock.withLock { () throws(E) in
      for pool in pools { pool.acquire() }
      defer { for pool in pools.reversed() { pool.release() } }
      return try body()
    }
  }

  /// While nothing begins or ends: the pools of one's own, libuv's, and the lanes of that.
  private func searchedPools(size: (WorkerPool) -> Int) -> [OffloadDeadlock.Pool] {
    let own = pools.map { pool in
      let (running, waiting) = pool.lockedCalls
      return OffloadDeadlock.Pool(
        title: pool.title, growth: "give it more threads", size: size(pool), running: running, waiting: waiting)
    }
    let shared = OffloadDeadlock.Pool(
      title: "the pool", growth: "make the pool larger with ThreadPool.setSize",
      size: PoolStart.size ?? PoolStart.sizeFromEnvironment,
      running: queues.flatMap(\.running).filter { !$0.isOver }, waiting: queues.flatMap(\.line.waiting))
    return own + [shared] + lanes.map { $0.places(below: own.count) }
  }

  /// While nothing begins or ends: throws if the call could never begin; in libuv's pool without another one.
  func refuseDeadlock(of offload: Offload, in pool: WorkerPool?) throws(UVError) {
    if offload.isWithdrawn { return }
    // A thread that failed is tried again for this call.
    var all = searchedPools(size: \.options.threads)
    let shared = pools.count
    // One that has ended refuses the call by itself.
    guard var index = pool.map({ pool in pools.firstIndex { $0 === pool } }) ?? shared else { return }
    if let lane = offload.lane, lane.isFull {
      index = lanes.firstIndex { $0 === lane }.map { shared + 1 + $0 } ?? all.count
      if index == all.count { all.append(lane.places(below: shared)) }
    }
    all[index].waiting.append(offload)
    let deadlock = OffloadDeadlock(all)
    if deadlock.stuck.contains(index) { throw deadlock.refusal(of: offload, in: index) }
  }

  /// Takes out all calls that wait.
  func withdrawAll(_ queue: OffloadQueue) -> [Offload] {
    let (all, admitted) = lock.withLock {
      let all = queue.line.removeAll()
      return (all, all.flatMap { leave($0) })
    }
    LaneState.send(for: admitted)
    return all
  }

  /// Takes out the calls that wait for libuv's pool and for which a call that holds a thread waits.
  func withdrawAwaited(_ queue: OffloadQueue) -> [Offload] {
    lock.withLock { queue.line.waiting.filter { unsafe !$0.chain.isEmpty } }.filter { $0.isTakenOut() }
  }

  /// Whether one more pool task must be sent for what waits, which is then counted.
  func mustSubmitPoolTask(to queue: OffloadQueue) -> Bool {
    lock.withLock { queue.poolTasks.mustSubmit(forWaiting: queue.line.count, poolSize: PoolStart.size ?? 1) }
  }

  /// libuv has given a pool task back.
  func poolTaskCameBack(to queue: OffloadQueue, hasBegun: Bool) {
    lock.withLock { queue.poolTasks.comeBack(hasBegun: hasBegun) }
  }

  /// Whether no call of a loop waits.
  func isEmpty(_ queue: OffloadQueue) -> Bool { lock.withLock { queue.line.isEmpty } }

  /// Whether no call of a loop waits or runs whose caller will go on after it. A call is counted until its task has
  /// gone home, and so is in the loop's queue if it lives there.
  func hasNoWork(_ queue: OffloadQueue, of loop: LoopCore) -> Bool {
    // Together: a call goes from its lane to the queue.
    let isIdle = lock.withLock {
      queue.line.isEmpty && queue.running.allSatisfy(\.isAbandoned) && waitingInLanes(of: loop).isEmpty
    }
    if !isIdle { return false }
    let (held, waiting) = callsElsewhere(of: loop)
    return waiting.isEmpty && held.allSatisfy(\.isAbandoned)
  }

  /// Whether nothing of a loop waits or runs that its shutdown waits for: of its pool tasks that libuv has, each runs a
  /// call that is not waited for.
  func isSettled(_ queue: OffloadQueue, of loop: LoopCore) -> Bool {
    // What an abandoned call held is released on the worker, and that may take as long as the call.
    func isExempt(_ offload: Offload) -> Bool { offload.isAbandoned || offload.isExempt && !offload.isOver }
    let isSettled = lock.withLock {
      (queue.line.waiting + waitingInLanes(of: loop)).allSatisfy(isExempt)
        && queue.running.count(where: isExempt) == queue.poolTasks.inFlight
    }
    if !isSettled { return false }
    let (held, waiting) = callsElsewhere(of: loop)
    return (held + waiting).allSatisfy(isExempt)
  }

  /// Refuses what could never begin and holds up who waits for it. To be called when somebody begins to wait for the
  /// end of a pool or a loop, or a thread or a place is lost; calls are judged by themselves when they are submitted.
  ///
  /// - Parameters:
  ///   - end: Nothing is done unless somebody waits for the end of this.
  ///   - failure: Why a pool has lost a thread, and what calls there are refused with.
  /// - Returns: Whether something was refused.
  @discardableResult
  func refuseStuck(awaitingEndOf end: AnyObject? = nil, after failure: (pool: WorkerPool, error: any Error)? = nil)
    -> Bool
  {
    if end != nil && Offload.endWaiters.load(ordering: .acquiring) == 0 { return false }
    let found = withAllPools { () -> [(Offload, any Error)] in
      let all = searchedPools(size: \.lockedSize)
      if let end, !all.contains(where: { $0.running.contains { $0.awaitsEnd(of: end) } }) { return [] }
      let deadlock = OffloadDeadlock(all)
      return deadlock.hopeless.map { call, index in
        if let failure, call.belongs(to: failure.pool) { return (call, failure.error) }
        return (call, call.endError ?? deadlock.refusal(of: call, in: index))
      }
    }
    let refused = found.filter { call, _ in call.isTakenOut(dropped: true) }
    for (call, error) in refused { call.refuse(error) }
    return !refused.isEmpty
  }

  /// Takes the calls of a loop out that wait for pools of one's own, or in lanes.
  func withdrawElsewhere(of loop: LoopCore) -> [Offload] {
    callsElsewhere(of: loop).waiting.filter { $0.isTakenOut() }
  }

  // MARK: On a worker

  /// A pool task begins: the call that it shall run, or nil if there is none any more.
  func firstCall(for poolTask: PoolTask) -> Offload? {
    let now = MonotonicClock.now()
    let queue = poolTask.queue
    return lock.withLock {
      queue.poolTasks.begin()
      if assignNext(to: poolTask, at: now) {
        queue.active.append(poolTask)
        return poolTask.call
      }
      queue.poolTasks.end()
      return nil
    }
  }

  enum Next {
    case call(Offload)
    /// To spin, waiting for calls beyond those that have come.
    case spin(beyond: Int)
    /// The pool task has ended.
    case none
  }

  /// A pool task has run a call: what it does next.
  func next(after offload: Offload, for poolTask: PoolTask, at now: Int64, hasUsedBudget: Bool) -> Next {
    let queue = poolTask.queue
    var admitted: [Offload] = []
    var mayBeStuck = false
    let next = lock.withLock { () -> Next in
      if queue.measuresTimes { queue.times.runs.record(nanoseconds: unsafe now - offload.since) }
      if let lane = offload.lane {
        lane.times.runs.record(nanoseconds: unsafe now - offload.since)
        admitted = leave(offload)
        mayBeStuck = lane.mayBeStuck
      }
      let mayTake = !hasUsedBudget || queue.poolTasks.pending == 0
      if mayTake, assignNext(to: poolTask, at: now), let next = poolTask.call { return .call(next) }
      // Who has used its budget ends: others may wait for the pool.
      if hasUsedBudget {
        queue.poolTasks.end()
        remove(poolTask)
        return .none
      }
      queue.poolTasks.spin()
      return .spin(beyond: queue.arrivals.load(ordering: .relaxed))
    }
    if case .call(let taken) = next { admitted.removeAll { $0 === taken } }
    LaneState.send(for: admitted)
    if mayBeStuck { refuseStuck() }
    return next
  }

  /// A pool task has spun: the call that it has found, or nil, and then it has ended.
  func endSpin(_ poolTask: PoolTask) -> Offload? {
    let now = MonotonicClock.now()
    return lock.withLock {
      let hasFound = assignNext(to: poolTask, at: now)
      poolTask.queue.poolTasks.endSpin(found: hasFound)
      if !hasFound { remove(poolTask) }
      return poolTask.call
    }
  }

  /// Gives a pool task the next call; false if none waits, and then it has none.
  private func assignNext(to poolTask: PoolTask, at now: Int64) -> Bool {
    let queue = poolTask.queue
    guard let offload = queue.line.popFirst() else {
      poolTask.call = nil
      return false
    }
    if queue.measuresTimes { queue.times.waits.record(nanoseconds: unsafe now - offload.since) }
    if let lane = offload.lane { lane.times.waits.record(nanoseconds: unsafe now - offload.since) }
    unsafe offload.since = now
    if let observer { unsafe offload.observer = observer }
    poolTask.call = offload
    return true
  }

  private func remove(_ poolTask: PoolTask) {
    poolTask.call = nil
    poolTask.queue.active.removeAll { $0 === poolTask }
  }
}
