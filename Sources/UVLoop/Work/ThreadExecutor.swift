import Synchronization

// The file is long because one lock guards all of it: what waits, what runs and whether the thread is still there must
// change in one step.
//
//   open ──close──▶ closed ──the thread has run what was in line──▶ ended ──a job──▶ elsewhere, one at a time
//
// What comes meanwhile waits in the same line until the thread has ended. So there is never a job here and another one
// elsewhere.

/// The jobs of an ``OffloadThread``, and the thread that runs them.
///
/// Every variable is guarded by `lock`, but for those of which something else is said.
@usableFromInline
final class ThreadExecutor: ReportedEnd, WatchedWork, @unchecked Sendable {  // Holds because of the line above.
  private enum Work {
    /// A task's, and whether that is to resume on the loop that it comes from with both executors of that.
    case job(UnownedJob, resumesOnLoop: Bool)
    case call(@Sendable () -> Void)
  }

  /// What waits, and since when.
  private struct Entry {
    let work: Work
    let since: Int64
  }

  let name: String
  private let generation = ProcessGeneration.join()
  /// Written before anybody has the executor.
  private(set) var identity = ThreadIdentity.current
  private let lock = Lock()
  /// What waits is from `head` on. Before that nothing is kept: what a closure captured must not be released under the
  /// lock, which its deinit may want.
  private var line: [Entry?] = []
  private var head = 0
  /// How many jobs have come, for the thread that spins until the next one.
  private let arrivals = Atomic<Int>(0)
  /// Since when one runs.
  private var running: Int64?
  private var isAsleep = false
  private var isClosed = false
  /// How many of those in line the thread still runs after that: whoever comes later must not keep it.
  private var left = 0
  private var hasEnded = false
  /// After the end: whether somebody runs what comes.
  private var isDraining = false
  private var times = OffloadTimes()
  private var observer: (any WorkerObserver)?
  /// Who is to be told of the one that runs. Only who runs it uses this.
  private var informed: (any WorkerObserver)?
  private var began: Int64?
  private var report: ShutdownReport?
  private var waiters: [@Sendable (ShutdownReport) -> Void] = []
  /// For how long the thread spins, waiting for another job.
  private static let spinTime: Int64 = 10_000

  init(_ name: String) { self.name = name }

  // MARK: - On any thread

  private var address: UInt { UInt(bitPattern: unsafe Unmanaged.passUnretained(self).toOpaque()) }

  /// On the thread, until it has ended.
  var isCurrent: Bool { ThreadSlot.actorThread.word == address }

  /// Where its isolation holds: there, and where its jobs run after its end.
  var isIsolating: Bool { ThreadSlot.actorThread.word | 1 == address | 1 }

  var isOwnProcess: Bool { generation == ProcessGeneration.current }

  /// Traps in the child of a fork, where the thread does not exist.
  func requireOwnProcess() {
    if !isOwnProcess {
      fatalError(
        """
        UVLoop: thread "\(name)" belongs to the parent of this process. After a fork it does not exist here. Make a \
        new OffloadThread in the child, or exec.
        """)
    }
  }

  func start(stackSize: Int?) throws(UVError) {
    let latch = StartLatch()
    try DetachedThread.start(named: name, stackSize: stackSize) { self.main(latch) }
    identity = latch.wait()
    OffloadScheduler.process.register(self)
  }

  var statistics: OffloadThread.Statistics {
    requireOwnProcess()
    let now = MonotonicClock.now()
    func age(_ since: Int64) -> Duration { .nanoseconds(max(0, now - since)) }
    return lock.withLock {
      OffloadThread.Statistics(
        name: name, queued: line.count - head, running: running.map(age),
        oldestQueued: head < line.count ? line[head].map { age($0.since) } : nil, waits: times.waits, runs: times.runs)
    }
  }

  // MARK: - On any thread: watched

  var title: String { "thread \"\(name)\"" }

  var loads: [WorkLoad] {
    lock.withLock {
      [
        WorkLoad(
          id: ObjectIdentifier(self), queued: line.count - head, oldest: head < line.count ? line[head]?.since : nil,
          running: running.map { [.init(work: self, label: nil, since: $0)] } ?? [])
      ]
    }
  }

  func observe(with new: (any WorkerObserver)?) throws(UVError) -> (any WorkerObserver)? {
    requireOwnProcess()
    return try lock.withLock { () throws(UVError) in
      if new != nil && isClosed { throw closedError("OffloadThread.startWatchdog") }
      let old = observer
      observer = new
      return old
    }
  }

  // MARK: - On any thread: work

  /// Throws once the end has been asked for; then `body` is released and never runs.
  func post(_ body: @escaping @Sendable () -> Void) throws(UVError) {
    requireOwnProcess()
    try lock.withLock { () throws(UVError) in
      if isClosed { throw closedError("ThreadActor.post") }
      append(.call(body))
    }
  }

  private func closedError(_ call: String) -> UVError {
    UVError(.poolClosed, call: call, "Thread \"\(name)\" has been shut down, and takes no more calls.")
  }

  /// Under the lock.
  private func append(_ work: Work) {
    line.append(Entry(work: work, since: MonotonicClock.now()))
    arrivals.add(1, ordering: .releasing)
    wake()
  }

  /// Whether an actor runs here: it may say itself where it does.
  func isExecutor(of actor: some Actor) -> Bool {
    // Holds because an executor is two words, and the first one is the object's address.
    unsafe unsafeBitCast(actor.unownedExecutor, to: (UInt, UInt).self).0 == address
  }

  // MARK: - On any thread: the end

  func close() {
    lock.withLock {
      if isClosed { return }
      began = MonotonicClock.now()
      isClosed = true
      left = line.count - head
      wake()
    }
  }

  func requestShutdown(_ deliver: @escaping @Sendable (ShutdownReport) -> Void) {
    requireOwnProcess()
    let old = lock.withLock {
      if report == nil { waiters.append(deliver) }
      return report
    }
    if let old { deliver(old) } else { close() }
  }

  /// Names what the thread has not run. The method that asks is not waited for.
  func expire() {
    let isAsker = isCurrent
    let tell = lock.withLock {
      let waiting = line[head...].prefix(left).compactMap { $0?.since }
      return report(naming: (isAsker ? [] : running.map { [$0] } ?? []) + waiting)
    }
    tell()
  }

  /// Under the lock: makes the report, if there is none yet. What is returned tells who waits for it, without the lock.
  private func report(naming began: [Int64]) -> () -> Void {
    let now = MonotonicClock.now()
    var report = self.report ?? ShutdownReport()
    if self.report == nil {
      report.unfinished = began.map { since in
        .init(kind: .offload, label: nil, age: .nanoseconds(max(0, now - since)), pool: name)
      }
      report.duration = .nanoseconds(now - (self.began ?? now))
      self.report = report
    }
    let told = waiters
    waiters = []
    return { for deliver in told { deliver(report) } }
  }

  // MARK: - On its thread

  /// Under the lock.
  private func wake() {
    if !isAsleep { return }
    isAsleep = false
    lock.wakeOne()
  }

  private func main(_ latch: StartLatch) {
    ThreadSlot.actorThread.word = address
    latch.open()
    while let work = next() { run(work) }
    ThreadSlot.actorThread.word = 0
    OffloadScheduler.process.unregister(self)
    // Nobody runs anything else before: until here it was current.
    let (mustDrain, tell, last) = lock.withLock {
      hasEnded = true
      isDraining = head < line.count
      return (isDraining, report(naming: []), observer.take())
    }
    last?.end()
    tell()
    if mustDrain { drain() }
  }

  /// The next job, when there is one. Nil when all have run that were in line when it was closed.
  private func next() -> Work? {
    lock.lock()
    defer { lock.unlock() }
    var mustSpin = !isClosed
    while true {
      if isClosed {
        if left == 0 { return nil }
        left -= 1
      }
      if let work = popFirst() { return work }
      if mustSpin {
        mustSpin = false
        let seen = arrivals.load(ordering: .relaxed)
        lock.unlock()
        spin(beyond: seen)
        lock.lock()
      } else {
        isAsleep = true
        while isAsleep { lock.wait() }
      }
    }
  }

  /// It lets others have its CPU: where that is a loop's, the next job comes just then.
  private func spin(beyond seen: Int) {
    let end = MonotonicClock.now() + ThreadExecutor.spinTime
    repeat { Posix.yield() } while arrivals.load(ordering: .acquiring) == seen && MonotonicClock.now() < end
  }

  /// Under the lock: the first in line, which runs from now on.
  private func popFirst() -> Work? {
    guard head < line.count, let entry = line[head].take() else { return nil }
    head += 1
    if head == line.count {
      // A long line gives its memory back.
      line.removeAll(keepingCapacity: line.capacity <= 4_096)
      head = 0
    } else if head > 1_024 && head > line.count / 2 {
      line.removeFirst(head)
      head = 0
    }
    let now = MonotonicClock.now()
    times.waits.record(nanoseconds: now - entry.since)
    running = now
    informed = observer
    return entry.work
  }

  private func run(_ work: consuming Work) {
    let observer = informed.take()
    if let observer { observer.willRun(self, since: lock.withLock { running } ?? 0) }
    switch consume work {
    case .job(let job, let resumesOnLoop):
      if resumesOnLoop { ThreadSlot.resumptionHint.word = job.bits }
      unsafe job.runSynchronously(on: asUnownedSerialExecutor())
      if resumesOnLoop { ThreadSlot.resumptionHint.word = 0 }
    case .call(let body): body()
    }
    observer?.didRun(self)
    let now = MonotonicClock.now()
    lock.withLock {
      if let running { times.runs.record(nanoseconds: now - running) }
      running = nil
    }
  }

  // MARK: - Elsewhere, after its end

  /// Runs what comes on Swift's pool, a batch at a time: a task that goes on and on would keep a thread from others.
  private func drain() {
    Task.detached { while self.drainSome() { await Task.yield() } }
  }

  /// False if nothing is left.
  private func drainSome() -> Bool {
    let outer = ThreadSlot.actorThread.word
    ThreadSlot.actorThread.word = address | 1
    defer { ThreadSlot.actorThread.word = outer }
    for _ in 0..<64 {
      let work = lock.withLock {
        let work = popFirst()
        isDraining = work != nil
        return work
      }
      guard let work else { return false }
      run(work)
    }
    return true
  }
}

extension ThreadExecutor: SerialExecutor {
  // MARK: On any thread

  @usableFromInline
  func enqueue(_ job: consuming ExecutorJob) {
    requireOwnProcess()
    // Once the job is in line it may run to its end, and then nobody may keep this executor.
    let kept = unsafe Unmanaged.passRetained(self)
    defer { unsafe kept.release() }
    let job = UnownedJob(job)
    let resumesOnLoop = LoopThread.current?.executors.identity(ofLeaving: job) == .both
    let mustDrain = lock.withLock {
      append(.job(job, resumesOnLoop: resumesOnLoop))
      if !hasEnded || isDraining { return false }
      isDraining = true
      return true
    }
    if mustDrain { drain() }
  }

  /// Where it is not so the runtime asks ``checkIsolated()``, which says more than the runtime would.
  @usableFromInline
  func isIsolatingCurrentContext() -> Bool? { isIsolating ? true : nil }

  @usableFromInline
  func checkIsolated() {
    if !isIsolating {
      fatalError(
        """
        UVLoop: this code must run on the thread "\(name)" of its actor, \(identity), and runs on \
        \(ThreadIdentity.current). Call the actor's methods with `await`.
        """)
    }
  }
}
