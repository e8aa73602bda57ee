import Synchronization

// The file is long because the state of a call is private to it: who runs it, cancels it, waits for it and ends what it
// belongs to asks here.
//
// waiting ──▶ queued ──▶ running ──▶ ended: its task goes home
//    │           │
//    │           └─cancelled, expired─▶ withdrawn: the task learns of it on the loop
//    └─cancelled, refused, closed──────────▲

/// One call for a worker: an executor whose only job is the rest of the calling task.
///
/// To await ``perform(_:)`` is to enqueue the task here, and that puts it in line for a worker, of libuv's pool or of a
/// pool of one's own; the worker then runs the task itself. So task-locals, name, priority and `Task.isCancelled` are
/// simply there, and the result is handed back as any result of an actor's method is.
///
/// A pool of one's own also takes closures, and jobs of tasks that prefer it.
actor Offload: WorkerLease, ScopedWait {
  nonisolated let label: String?
  /// The offloaded calls that wait for the caller, until the call begins.
  ///
  /// Holds because before it is queued only the loop's thread uses it, while it is queued who has the scheduler's lock,
  /// and afterwards its worker.
  nonisolated(unsafe) private(set) var chain: [any WorkerLease]
  /// The loop for which it was offloaded; nil for a call of a pool alone.
  nonisolated let loop: LoopCore?
  /// The pool that runs it; nil for libuv's.
  private nonisolated let pool: WorkerPool?
  /// What bounds calls of its kind in libuv's pool.
  nonisolated let lane: LaneState?
  nonisolated let isAbandonable: Bool
  /// Whether it is refused where it would wait for room in its pool's queue.
  nonisolated let failsWhenFull: Bool
  /// Whether it is a job of a task, which cannot be refused.
  nonisolated let isTaskJob: Bool
  /// Whether somebody waits who is told where it does not run.
  nonisolated let isAwaited: Bool
  private nonisolated let isCancelled = Atomic<Bool>(false)
  private nonisolated let blocks = Atomic<Int>(0)
  private nonisolated let isInitiator = Atomic<Bool>(false)
  private nonisolated let hasEndedPool = Atomic<Bool>(false)
  /// The address of the pool or loop for whose end it blocks.
  private nonisolated let awaitedEnd = Atomic<UInt>(0)
  /// How many calls do; and what stands there for several ends.
  static let endWaiters = Atomic<Int>(0)
  private static let severalEnds = UInt.max
  private nonisolated let hasEnded = Atomic<Bool>(false)

  // Holds for these because the lock of the scheduler guards them, or that of the pool.
  /// Where it goes when its lane has a place for it.
  nonisolated(unsafe) var queue: OffloadQueue?  // Holds for the reason above.
  /// The line in which it waits, and where there; nil if it does not wait.
  nonisolated(unsafe) var line: OffloadLine?  // Holds for the reason above.
  nonisolated(unsafe) var index = 0  // Holds for the reason above.
  /// When it was queued, and then when it began.
  nonisolated(unsafe) var since: Int64 = 0  // Holds for the reason above.
  /// Who wants to know on which thread it runs.
  nonisolated(unsafe) var observer: (any WorkerObserver)?  // Holds for the reason above.

  // Holds for these because whoever runs the job reads them after the loop has handed it over, by queueing it or
  // through libuv's pool.
  private nonisolated(unsafe) var job: UnownedJob?  // Holds for the reason above.
  /// What runs in place of a job. It gets the reason why nothing does, where there is one.
  private nonisolated(unsafe) var body: (((any Error)?) -> Void)?  // Holds for the reason above.
  /// Why the body does not run.
  private nonisolated(unsafe) var refusal: (any Error)?  // Holds for the reason above.
  private nonisolated(unsafe) var resumesOnLoop = false  // Holds for the reason above.

  init(
    on loop: LoopCore?, in pool: WorkerPool? = nil, through lane: LaneState? = nil, label: String?,
    isAbandonable: Bool = false, failsWhenFull: Bool = false
  ) {
    self.loop = loop
    self.pool = pool
    self.lane = lane
    self.label = label
    self.isAbandonable = isAbandonable
    self.failsWhenFull = failsWhenFull
    isTaskJob = false
    isAwaited = true
    unsafe chain = WorkerLeases.unended
  }

  /// Something else than a call that its caller awaits: `body` runs on a worker, or anywhere with the reason why it
  /// does not.
  init(
    in pool: WorkerPool, label: String?, isTaskJob: Bool = false, isAwaited: Bool = true, failsWhenFull: Bool = false,
    waitedForBy chain: [any WorkerLease] = [], _ body: @escaping ((any Error)?) -> Void
  ) {
    loop = nil
    lane = nil
    self.pool = pool
    self.label = label
    isAbandonable = false
    self.failsWhenFull = failsWhenFull
    self.isTaskJob = isTaskJob
    self.isAwaited = isAwaited
    unsafe self.chain = chain
    unsafe self.body = body
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
  func perform<T>(_ body: consuming Disconnected<() throws -> sending T>, leavingResultIn wait: AbandonableWait<T>) {
    let result: Result<Disconnected<T>, any Error>
    do { result = .success(try perform(consume body)) } catch { result = .failure(error) }
    wait.resume(with: TaskResult(result))
  }
}

// MARK: - On the way to the pool

extension Offload: SerialExecutor {
  // MARK: On any thread

  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    unsafe self.job = job
    unsafe resumesOnLoop = LoopThread.current?.executors.identity(ofLeaving: job) == .both
    if let pool {
      submit(to: pool)
    } else if let loop {
      if loop.isCurrent {
        submit(on: loop)
      } else if !loop.enqueue({ self.submit(on: loop) }) {
        unsafe refusal = loop.closedError("offload")
        loop.queue.runOnFallback { self.runWork() }
      }
    }
  }

  /// A pool of one's own takes it on any thread.
  private nonisolated func submit(to pool: WorkerPool) {
    if let loop {
      // The loop's shutdown waits for it, in there.
      let isThere = loop.onLoop { _ = loop.work }
      if !isThere || loop.life.hasDrained { return refuse(loop.closedError("offload")) }
    }
    // A worker may run it to its end before the next one is sent for, and then nobody may keep the pool.
    let kept = unsafe Unmanaged.passRetained(pool)
    defer { unsafe kept.release() }
    let loop = loop
    do throws(UVError) {
      // Nothing of this object may follow; see below.
      if try pool.add(self) {
        // A loop that ends may have looked for its calls before this one was there.
        if let loop, loop.life != .accepting { loop.enqueue {} }
        return
      }
    } catch {
      return refuse(error)
    }
    refuse(CancellationError())
  }

  /// The body will not run: the task learns of it in the next job of the loop, or elsewhere where there is none, and
  /// never inside the call that enqueued it.
  nonisolated func refuse(_ refusal: any Error) {
    unsafe self.refusal = refusal
    guard let loop else {
      Task.detached { self.runWork() }
      return
    }
    if !loop.enqueue({ self.runWork() }) { loop.queue.runOnFallback { self.runWork() } }
  }

  // MARK: On the loop

  /// libuv wants its own thread for it.
  private nonisolated func submit(on loop: LoopCore) {
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
    let observer = unsafe observer
    observer?.willRun(self, since: unsafe since)
    WorkerLeases.run(under: self) { runWork() }
    observer?.didRun(self)
    if unsafe resumesOnLoop { ThreadSlot.resumptionHint.word = 0 }
  }

  /// The worker is about to do something else. A loop that ends waits for that, and so does a time that jumps: they
  /// look again when the loop is woken, and the task may have gone elsewhere.
  nonisolated func leftWorker() {
    if let loop, loop.life != .accepting || pool != nil && loop.time.virtual != nil { loop.enqueue {} }
  }

  /// Also where the body will not run, on the loop or elsewhere: who waits for it learns of it there.
  private nonisolated func runWork() {
    if let job = unsafe job {
      unsafe self.job = nil
      unsafe job.runSynchronously(on: UnownedSerialExecutor(ordinary: self))
    } else if unsafe body != nil {
      runBody()
      hasEnded.store(true, ordering: .releasing)
    }
  }

  /// What the body captured is released in here.
  @inline(never)
  private nonisolated func runBody() {
    if let body = unsafe body.take() { unsafe body(refusal) }
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
    if isTakenOut() { refuse(CancellationError()) }
  }

  /// Takes it out of its line, and says whether it was there. Whoever does that refuses it.
  nonisolated func isTakenOut(dropped: Bool = false) -> Bool {
    pool?.withdraw(self, dropped: dropped) ?? OffloadScheduler.process.withdraw(self)
  }

  /// Whether it is one of the pool's.
  nonisolated func belongs(to pool: WorkerPool) -> Bool { pool === self.pool }

  /// Its pool, as a report says.
  nonisolated var poolName: String? { pool?.options.name }

  /// It was taken out of its line by a shutdown of its loop.
  nonisolated func refuseWithdrawn() { refuse(loop?.closedError("offload") ?? CancellationError()) }

  nonisolated func block() { blocks.add(1, ordering: .acquiringAndReleasing) }

  nonisolated func unblock() {
    if blocks.subtract(1, ordering: .acquiringAndReleasing).newValue > 0 { return }
    if awaitedEnd.exchange(0, ordering: .acquiringAndReleasing) != 0 {
      Offload.endWaiters.subtract(1, ordering: .relaxed)
    }
  }

  nonisolated func exempt(from loop: LoopCore) {
    if loop === self.loop { isInitiator.store(true, ordering: .releasing) }
    noteEnd(of: loop)
  }

  nonisolated func exempt(from pool: WorkerPool) {
    if pool === self.pool { hasEndedPool.store(true, ordering: .releasing) }
    noteEnd(of: pool)
  }

  private nonisolated func noteEnd(of object: AnyObject) {
    if !isBlocked { return }
    let end = UInt(bitPattern: ObjectIdentifier(object))
    // Before it can be taken back.
    Offload.endWaiters.add(1, ordering: .relaxed)
    let before = awaitedEnd.exchange(end, ordering: .acquiringAndReleasing)
    if before == 0 { return }
    Offload.endWaiters.subtract(1, ordering: .relaxed)
    if before != end { awaitedEnd.store(Offload.severalEnds, ordering: .releasing) }
  }

  /// Whether it blocks for something's end. One that does for several is taken to do so for all.
  nonisolated func awaitsEnd(of object: AnyObject?) -> Bool {
    guard let object else { return false }
    let end = awaitedEnd.load(ordering: .acquiring)
    return end == UInt(bitPattern: ObjectIdentifier(object)) || end == Offload.severalEnds
  }

  /// Whether its pool's shutdown must not wait for it: it asked for that, or its caller has gone.
  nonisolated var isExemptFromPool: Bool { hasEndedPool.load(ordering: .acquiring) || isAbandoned }

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

  /// Under the locks of all pools: whether a call holds its thread until this one has ended.
  nonisolated func isAwaited(by call: Offload) -> Bool {
    call.isBlocked
      && (unsafe chain.contains { $0 === call } || pool?.isEnding == true && call.awaitsEnd(of: pool)
        || loop?.life != .accepting && call.awaitsEnd(of: loop))
  }

  /// Under the locks of all pools: why it is refused where its pool or its loop takes no more work.
  nonisolated var endError: UVError? {
    if let pool, pool.isEnding { return pool.closedError }
    return loop.flatMap { $0.life == .accepting ? nil : $0.closedError("offload") }
  }
}
