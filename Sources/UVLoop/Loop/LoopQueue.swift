/// What comes to a loop and runs there in order: from its own thread directly, from others through the inbox.
final class LoopQueue: @unchecked Sendable {  // Holds because `own` and `runsInline` belong to the loop's thread.
  private let thread: LoopThread
  private let inbox: LoopInbox
  private let executors: LoopExecutors
  private let observation: LoopObservation
  private let tasks: LoopTasks
  private let fallback = FallbackExecutor()
  private let own = WorkQueue()
  /// Whether a task may go on inside the callback that ends its wait. A test switches it off.
  var runsInline = true

  init(
    _ thread: LoopThread, _ inbox: LoopInbox, _ executors: LoopExecutors, _ observation: LoopObservation,
    _ tasks: LoopTasks
  ) {
    self.thread = thread
    self.inbox = inbox
    self.executors = executors
    self.observation = observation
    self.tasks = tasks
  }

  // MARK: On any thread

  /// A message of the library to the loop: runs for as long as the loop runs and is dropped after that, when every
  /// handle is closed and every wait has ended. In a forked child there is no loop to send it to. False if dropped.
  func enqueue(_ body: @escaping () -> Void) -> Bool {
    if thread.isCurrent {
      append(.call(body))
      return true
    }
    return thread.isOfThisProcess && inbox.add(.call(body), .job).isAccepted
  }

  /// A closure of a user, on any thread but the loop's. False once shutdown has begun.
  @inline(__always)
  func post(_ work: consuming Work) -> Bool { inbox.add(observation.timestamped(work), .post).isAccepted }

  /// A job, on any thread but the loop's. It is never refused: somebody awaits it.
  func enqueueRemote(_ work: consuming Work) {
    if case .ended(let work) = inbox.add(observation.timestamped(work), .job) { enqueueOnFallback(work) }
  }

  /// What must still happen after the loop has ended.
  func runOnFallback(_ body: @escaping () -> Void) { enqueueOnFallback(.call(body)) }

  private func enqueueOnFallback(_ work: consuming Work) { fallback.add(work, for: thread.core) }

  /// How much waits to run.
  var count: Int { inbox.waiting + observation.counters.queued.value }

  // MARK: On the loop

  @inline(__always)
  var isEmpty: Bool { own.isEmpty }

  /// What comes on the loop's own thread.
  @inline(__always)
  func enqueueLocal(_ work: consuming Work) { append(observation.timestamped(work)) }

  @inline(__always)
  private func append(_ work: consuming Work) {
    own.append(work)
    observation.counters.queued.set(own.count)
  }

  /// In a callback of libuv's: runs it before this returns, where nothing older waits and no job runs.
  func runNow(_ work: consuming Work) {
    if runsInline && own.isEmpty && executors.runningJob == 0 {
      observation.counters.jobs.add()
      run(work)
    } else {
      enqueueLocal(work)
    }
  }

  /// At most this much of the queue is run in one go: neither a chain that always posts its next link nor a flood from
  /// outside may keep timers and descriptors waiting.
  private static let drainCount = 4_096
  private static let drainTime: Int64 = 1_000_000

  /// Runs the queue within the budget; true if it is empty.
  func drain() -> Bool {
    if own.isEmpty { return true }
    let counters = observation.counters
    let end = MonotonicClock.now() + LoopQueue.drainTime
    var count = 0
    var nextCheck = 1
    while let work = own.popFirst() {
      counters.queued.set(own.count)
      counters.jobs.add()
      run(work)
      count += 1
      // After 1, 2, 4, 8, 16 and then every 16: the clock costs as much as a small job, and one large job is enough.
      if count == nextCheck {
        if MonotonicClock.now() > end || count >= LoopQueue.drainCount { break }
        nextCheck += min(count, 16)
      }
    }
    return own.isEmpty
  }

  /// After the poll, and before time goes on: takes what has come from other threads.
  func take() {
    inbox.take(into: own)
    observation.counters.queued.set(own.count)
  }

  /// Before the poll, when there is nothing else to do: true if the loop may block, false if work came in.
  func sleep() -> Bool {
    let maySleep = inbox.sleep(unless: own)
    observation.counters.queued.set(own.count)
    return maySleep
  }

  /// Takes a step of the shutdown. With the last one what is left goes to the fallback executor.
  func step(_ now: LoopLife.Conditions) -> LoopLife.Step { inbox.step(now, into: own) { enqueueOnFallback($0) } }

  /// The thread has let go of the loop.
  func openFallback() { fallback.open(for: thread.core) }

  // MARK: Where the loop is isolated

  /// Runs work where an observer sees it.
  @inline(__always)
  func run(_ work: consuming Work) {
    if observation.interest.contains(.calls) { runObserved(work) } else { perform(work) }
  }

  @inline(__always)
  private func perform(_ work: consuming Work) {
    switch consume work {
    case .call(let body):
      body()
    case .job(let job, let identity):
      executors.run(job, as: identity)
    case .timestamped(let timestamped):
      // Nobody wants to know any more.
      if let work = timestamped.take() { performAgain(work) }
    }
  }

  @inline(never)
  private func performAgain(_ work: consuming Work) { perform(work) }

  /// Runs work that somebody watches. What came before it was watched carries nothing along.
  @inline(never)
  private func runObserved(_ work: consuming Work) {
    switch consume work {
    case .timestamped(let timestamped):
      if let work = timestamped.take() { observe(work, since: timestamped.since, timestamped.site) }
    case let work:
      observe(work, since: nil, nil)
    }
  }

  private func observe(_ work: consuming Work, since: Int64?, _ site: CallSite?) {
    var call = LoopCall(kind: .post, site: site, since: since)
    if let job = work.job {
      call = LoopCall(kind: .task, label: tasks.name(of: job), since: since)
    }
    // The work must be the loop's own to consume, which a closure does not allow.
    observation.observer.willRun(call)
    perform(work)
    observation.observer.didRun()
  }
}
