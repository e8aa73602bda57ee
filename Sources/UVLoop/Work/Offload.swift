import Synchronization

// waiting ──▶ queued ──▶ running ──▶ ended: its task goes home
//    │           │
//    │           └─cancelled, expired─▶ withdrawn: the task learns of it on the loop
//    └─cancelled, refused, closed──────────▲

/// One offloaded call: an executor whose only job is the rest of the calling task.
///
/// To await ``perform(_:)`` is to enqueue the task here, and that puts it in line for a pool task; the worker then runs
/// the task itself. So task-locals, name, priority and `Task.isCancelled` are simply there, and the result is handed
/// back as any result of an actor's method is.
actor Offload: WorkerLease, ScopedWait {
  nonisolated let label: String?
  /// The offloaded calls that wait for the caller, until the call begins.
  ///
  /// Holds because before it is queued only the loop's thread uses it, while it is queued who has the scheduler's lock,
  /// and afterwards its worker.
  nonisolated(unsafe) private(set) var chain: [any WorkerLease]
  private nonisolated let loop: LoopCore
  private nonisolated let isAbandonable: Bool
  private nonisolated let isCancelled = Atomic<Bool>(false)
  private nonisolated let blocks = Atomic<Int>(0)
  private nonisolated let isInitiator = Atomic<Bool>(false)

  private nonisolated let hasEnded = Atomic<Bool>(false)

  // Holds for these because the scheduler's lock guards them.
  /// The line in which it waits, and where there; nil if it does not wait.
  nonisolated(unsafe) var line: OffloadLine?  // Holds for the reason above.
  nonisolated(unsafe) var index = 0  // Holds for the reason above.
  /// When it was queued, and then when it began.
  nonisolated(unsafe) var since: Int64 = 0  // Holds for the reason above.

  // Holds for these because whoever runs the job reads them after the loop has handed it over, by queueing it or
  // through libuv's pool.
  private nonisolated(unsafe) var job: UnownedJob?  // Holds for the reason above.
  /// Why the body does not run.
  private nonisolated(unsafe) var refusal: (any Error)?  // Holds for the reason above.
  private nonisolated(unsafe) var resumesOnLoop = false  // Holds for the reason above.

  init(on loop: LoopCore, label: String?, isAbandonable: Bool) {
    self.loop = loop
    self.label = label
    self.isAbandonable = isAbandonable
    unsafe chain = WorkerLeases.unended
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

  /// How messages call it.
  nonisolated var title: String { label.map { "\"\($0)\"" } ?? "an offload without a label" }

  // MARK: On a worker

  /// Runs the body, on the worker, or says why it does not: then where its task is refused.
  ///
  /// Body and result stay in their boxes: to unbox them at the call would cost two hops to the caller's isolation.
  func perform<T>(_ body: Disconnected<() throws -> sending T>) throws -> Disconnected<T> {
    // Before the task goes home, so that the counts are right when the caller looks.
    defer { hasEnded.store(true, ordering: .releasing) }
    // It may have been cancelled when its call had left the queue, or when the loop had no time to take it out.
    try WaitScope.checkCancellation()
    if let refusal = unsafe refusal { throw refusal }
    return Disconnected(try unsafe body.value())
  }

  /// The same for a caller that does not come along, and that may have gone when the result is there. What the body
  /// captured is released before.
  func perform<T>(_ body: consuming Disconnected<() throws -> sending T>, leavingResultIn wait: LoopWait) {
    let result: Result<Disconnected<T>, any Error>
    do { result = .success(try perform(consume body)) } catch { result = .failure(error) }
    wait.resume(carrying: TaskResult(result))
  }
}

// MARK: - On the way to the pool

extension Offload: SerialExecutor {
  // MARK: On any thread

  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    unsafe self.job = job
    unsafe resumesOnLoop = LoopThread.current?.executors.identity(ofLeaving: job) == .both
    if loop.isCurrent {
      submit()
    } else if !loop.enqueue({ self.submit() }) {
      unsafe refusal = loop.closedError("offload")
      loop.queue.runOnFallback { self.runJob() }
    }
  }

  /// The body will not run: the task learns of it in the next job of the loop, never inside the call that enqueued it.
  private nonisolated func refuse(_ refusal: any Error) {
    unsafe self.refusal = refusal
    if !loop.enqueue({ self.runJob() }) { loop.queue.runOnFallback { self.runJob() } }
  }

  // MARK: On the loop

  /// libuv wants its own thread for it.
  private nonisolated func submit() {
    if loop.life.hasDrained { return refuse(loop.closedError("offload")) }
    do throws(UVError) {
      // Nothing may follow: whoever enqueues an executor's job does not keep it, and once it is in the queue a worker
      // may run it to its end, after which nobody does.
      if try loop.work.add(self) { return }
    } catch {
      return refuse(error)
    }
    refuse(CancellationError())
  }

  // MARK: On a worker

  nonisolated func runOnWorker() {
    // Nobody asks any more whom it holds up, and a call that starts the next would be kept by it, with all before it.
    if unsafe !chain.isEmpty { unsafe chain = [] }
    if unsafe resumesOnLoop { ThreadSlot.resumptionHint.word = unsafe job?.bits ?? 0 }
    WorkerLeases.run(under: self) { runJob() }
    if unsafe resumesOnLoop { ThreadSlot.resumptionHint.word = 0 }
  }

  /// The worker is about to do something else. A loop that ends waits for that, and looks again when it is woken; the
  /// task may have gone elsewhere.
  nonisolated func leftWorker() {
    if loop.life != .accepting { loop.enqueue {} }
  }

  /// Also where the body will not run, on the loop or behind its end: the task learns of it there.
  private nonisolated func runJob() {
    guard let job = unsafe job else { return }
    unsafe self.job = nil
    unsafe job.runSynchronously(on: UnownedSerialExecutor(ordinary: self))
  }
}

// MARK: - Cancellation, deadlocks, shutdown

extension Offload {
  // MARK: On any thread

  /// The calling task was cancelled. A call that runs goes on, and can ask `Task.isCancelled`.
  nonisolated func cancel() {
    isCancelled.store(true, ordering: .sequentiallyConsistent)
    withdraw()
  }

  /// Takes it out of the queue if it has not begun.
  private nonisolated func withdraw() {
    if OffloadScheduler.process.withdraw(self) { refuse(CancellationError()) }
  }

  /// It was taken out of the queue by a shutdown whose time was over.
  nonisolated func refuseWithdrawn() { refuse(loop.closedError("offload")) }

  nonisolated func block() { blocks.add(1, ordering: .acquiringAndReleasing) }

  nonisolated func unblock() { blocks.subtract(1, ordering: .acquiringAndReleasing) }

  nonisolated func exempt(from loop: LoopCore) {
    if loop === self.loop { isInitiator.store(true, ordering: .releasing) }
  }

  /// Whether its caller wants it no more. Who cancels says so first and looks for it in the queue then: whoever queues
  /// it asks under the lock of the queue, and one of the two finds the other.
  nonisolated var isWithdrawn: Bool { isCancelled.load(ordering: .acquiring) }

  /// Whether its worker waits in `runBlocking`.
  nonisolated var isBlocked: Bool { blocks.load(ordering: .acquiring) > 0 }

  /// Whether it asked for the shutdown, which must not wait for it.
  nonisolated var isExempt: Bool { isInitiator.load(ordering: .acquiring) }

  /// Whether its caller has gone without waiting for its end.
  nonisolated var isAbandoned: Bool { isAbandonable && isCancelled.load(ordering: .acquiring) }

  /// Whether its body has run; its worker may not yet have told the scheduler.
  nonisolated var isOver: Bool { hasEnded.load(ordering: .acquiring) }

  /// Whether its worker is about to take the next call: nothing of the user's runs on it any more. What the body
  /// captured is released where its caller goes on, but for a call that may be abandoned: then on the worker.
  nonisolated var isLeaving: Bool { isOver && !isAbandonable }

  /// Under the scheduler's lock.
  nonisolated func waits(for call: Offload) -> Bool { unsafe chain.contains { $0 === call } }
}
