/// The offloaded calls of a loop, and the pool tasks that take them to libuv's pool.
///
/// The queue is guarded by the scheduler's lock; everything else belongs to the loop's thread.
final class LoopWork: LoopComponent, @unchecked Sendable {  // Holds because of the line above.
  let queue = OffloadQueue()
  // Holds because nothing of it is used once the core has ended: calls and pool tasks in flight keep the loop running.
  private unowned(unsafe) let loop: LoopCore
  private var resting: [PoolTask] = []
  /// Calls that came while the process exits. No pool task knows of it.
  private let late = OffloadQueue()

  init(_ loop: LoopCore) {
    unsafe self.loop = loop
    OffloadScheduler.process.register(queue)
  }

  deinit { OffloadScheduler.process.unregister(queue) }

  /// Puts a call in line, and sends for a pool task if need be; false if it has been cancelled. Throws where the call
  /// could never begin. From here on the call may be run and freed.
  func add(_ offload: Offload) throws(UVError) -> Bool {
    if !ExitGuard.enter() { return try addLate(offload) }
    defer { ExitGuard.leave() }
    switch try OffloadScheduler.process.enqueue(offload, in: queue) {
    case .willBeTaken, .waitsInLane: break
    case .cancelled: return false
    case .needsPoolTask: submitPoolTask()
    }
    return true
  }

  /// The process exits, and nothing begins any more. What comes now waits for the end of the process, or of the loop:
  /// its task had better not go on, and tell the user of an error. But `exit` waits for the calls that run, and for
  /// what was registered with `atexit`, and what these wait for must not wait for `exit`. So it can be cancelled too:
  /// they may wait for its task without having started it, as the shutdown of another loop does.
  private func addLate(_ offload: Offload) throws(UVError) -> Bool {
    if unsafe !offload.chain.isEmpty { throw exitError(of: offload) }
    return OffloadScheduler.process.keep(offload, in: late)
  }

  private func exitError(of offload: Offload) -> UVError {
    UVError(
      .loopClosed, call: "offload",
      "\(offload.title) cannot begin: the process exits, and waits for whoever offloaded it.")
  }

  func releaseWaits() {
    for offload in OffloadScheduler.process.withdrawAll(late) { offload.refuseWithdrawn() }
  }

  private func submitPoolTask() {
    let poolTask = unsafe resting.popLast() ?? PoolTask(for: self, on: loop)
    poolTask.submit()
  }

  /// A call that waited in its lane has a place, and lies in the queue.
  func sendPoolTask() {
    if !ExitGuard.enter() {
      for offload in OffloadScheduler.process.withdrawAwaited(queue) { offload.refuse(exitError(of: offload)) }
      return
    }
    defer { ExitGuard.leave() }
    if OffloadScheduler.process.mustSubmitPoolTask(to: queue) { submitPoolTask() }
  }

  /// libuv has given it back.
  func poolTaskCameBack(_ poolTask: PoolTask, hasBegun: Bool) {
    resting.append(poolTask)
    OffloadScheduler.process.poolTaskCameBack(to: queue, hasBegun: hasBegun)
    sendPoolTask()
  }

  /// A call that asked for the shutdown waits for it, and is not waited for; nor is one that its caller has abandoned.
  /// All pool tasks but those that run such a call must be back: who is told that the loop has ended may end the
  /// process.
  var isSettled: Bool { unsafe OffloadScheduler.process.isSettled(queue, of: loop) }

  /// A call that its caller has abandoned may never end, and nobody waits for it.
  var hasNoWork: Bool { unsafe OffloadScheduler.process.hasNoWork(queue, of: loop) }

  /// At the end of the loop what could never begin is refused, and a pool task that has not begun is called back when
  /// nothing is left for it: the pool may belong to others for long.
  func beforePoll() -> Bool {
    let hasRefused = unsafe loop.life != .accepting && OffloadScheduler.process.refuseStuck(awaitingEndOf: loop)
    if unsafe loop.life.hasDrained && OffloadScheduler.process.isEmpty(queue) { withdrawPoolTasks() }
    return hasRefused
  }

  func cancelUnbegun() {
    // Those in lanes first: they would get the places of the others.
    for offload in unsafe OffloadScheduler.process.withdrawElsewhere(of: loop) { offload.refuseWithdrawn() }
    for offload in OffloadScheduler.process.withdrawAll(queue) { offload.refuseWithdrawn() }
    withdrawPoolTasks()
  }

  private func withdrawPoolTasks() {
    for request in unsafe loop.requests.inFlight where request is PoolTask { request.cancel() }
  }

  func report(into report: inout ShutdownReport) {
    let running = unsafe OffloadScheduler.process.calls(of: loop, queue).running
    for (offload, age) in running where !offload.isExempt {
      report.unfinished.append(.init(kind: .offload, label: offload.label, age: age, pool: offload.poolName))
    }
  }
}

extension LoopCore {
  private static let workKey = ComponentKey<LoopWork>()

  /// The loop's offloaded calls.
  var work: LoopWork { component(LoopCore.workKey) { LoopWork($0) } }
}
