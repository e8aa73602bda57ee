import CLibUV

/// Ends a loop: takes the steps that ``LoopLife`` decides on, and tells those who wait for the end.
// Holds because `lock` guards what any thread may use; see the marks.
@safe final class LoopShutdown: @unchecked Sendable {
  private let thread: LoopThread
  private let inbox: LoopInbox
  private let queue: LoopQueue
  private let rawLoop: RawLoop
  private let components: LoopComponents
  private let tasks: LoopTasks
  private let waits: LoopWaits
  private let observation: LoopObservation

  private let lock = Lock()
  private var began: Int64?
  private var shortest: Int64?
  private var composed: ShutdownReport?
  private var delivered: ShutdownReport?
  private var waiters: [@Sendable (ShutdownReport) -> Void] = []

  /// Belongs to the loop's thread.
  var hooks = ShutdownHooks()
  private var timer: UnsafeMutablePointer<uv_timer_t>?

  init(
    _ thread: LoopThread, _ inbox: LoopInbox, _ queue: LoopQueue, _ rawLoop: RawLoop,
    _ components: LoopComponents, _ tasks: LoopTasks, _ waits: LoopWaits, _ observation: LoopObservation
  ) {
    self.thread = thread
    self.inbox = inbox
    self.queue = queue
    self.rawLoop = rawLoop
    self.components = components
    self.tasks = tasks
    self.waits = waits
    self.observation = observation
  }

  // MARK: On any thread

  /// Begins the end, as often as anybody likes. The shortest limit counts.
  func request(within limit: Duration?) {
    let core = thread.core
    core.requireOwnProcess()
    tasks.exempt(LoopTasks.chain)
    for lease in WorkerLeases.chain { lease.exempt(from: core) }
    WorkerLeases.current?.exempt(from: core)
    note(limit)
    // Behind everything that was accepted: when this message runs, that has run.
    let isFirst = inbox.stopAccepting(then: .call { self.endDraining() })
    if !isFirst { _ = queue.enqueue { self.armDeadline() } }
    if thread.isCurrent { quiesce() }
  }

  private func note(_ limit: Duration?) {
    let now = MonotonicClock.now()
    let deadline = limit.map { MonotonicClock.now(plus: $0) }
    lock.withLock {
      if began == nil { began = now }
      if let deadline { shortest = min(shortest ?? .max, deadline) }
    }
  }

  /// When to give up waiting, in nanoseconds of the monotonic clock: the shortest of all limits.
  private var deadline: Int64? { lock.withLock { shortest } }

  /// Calls `waiter` with the report: at once if there is one, else on the loop's thread.
  func whenDelivered(_ waiter: @escaping @Sendable (ShutdownReport) -> Void) {
    let report = lock.withLock { () -> ShutdownReport? in
      if delivered == nil { waiters.append(waiter) }
      return delivered
    }
    if let report { waiter(report) }
  }

  // MARK: On the loop

  /// Before what was accepted runs. Once.
  func quiesce() {
    if inbox.changeLife({ $0.quiesce() }) { for component in components.all { component.quiesce() } }
  }

  private func endDraining() {
    inbox.changeLife { $0.endDraining() }
    armDeadline()
    tasks.cancelAll()
  }

  /// Takes the next step if it is due; true if it took one, so that the loop must look again before it waits.
  func advance() -> Bool {
    switch queue.step(conditions()) {
    case .wait:
      // libuv's time may be behind by its cut and its coarse clock, and the timer then early.
      if let timer = unsafe timer,
        unsafe uv_is_active(UnsafeRawPointer(timer).assumingMemoryBound(to: uv_handle_t.self)) == 0
      {
        armDeadline()
      }
      return false
    case .releaseWaits:
      for component in components.all { component.releaseWaits() }
      waits.release()
      tasks.releaseBlocked()
    case .runHooksAndClose:
      while let hook = hooks.popLast() { hook() }
      for component in components.all { component.close() }
    case .expire:
      for component in components.all { component.cancelUnbegun() }
    case .report:
      compose()
      // From here on the thread is not the loop's any more, but the place of its isolation.
      thread.mark(current: false, isolating: true)
      deliver()
    case .end:
      compose()
      thread.mark(current: false, isolating: true)
      unsafe uv_stop(rawLoop.loop)
    }
    return true
  }

  /// Makes the loop look again when the time that the callers gave is over.
  private func armDeadline() {
    guard inbox.life.takesSteps, let deadline, deadline != .max else { return }
    if unsafe timer == nil {
      unsafe timer = try? rawLoop.open(UV_TIMER, as: uv_timer_t.self, "uv_timer_init") {
        unsafe uv_timer_init($0, $1)
      }
    }
    unsafe uv_update_time(rawLoop.loop)
    let left = max(0, deadline - MonotonicClock.now())
    // One millisecond more than rounding up asks for: the loop's own time is cut to milliseconds.
    _ = unsafe uv_timer_start(timer, { _ in }, UInt64(left) / 1_000_000 + 2, 0)
  }

  private func conditions() -> LoopLife.Conditions {
    var now = LoopLife.Conditions()
    now.isExpired = deadline.map { $0 <= MonotonicClock.now() } ?? false
    switch inbox.life {
    case .awaitingTasks:
      now.tasks = tasks.awaitedCount
    case .closing, .expired, .lingering:
      now.isSettled = components.areSettled
      now.isEmpty = components.areEmpty
      let foreign = foreignHandles(includingClosing: true)
      now.hasForeignHandles = !foreign.isEmpty
      // In the callback of one that closes its owner may close the next: a chain of any length ends before the report.
      if foreign.contains(where: \.isClosing) || hasForeignRequests {
        now.isSettled = false
        now.isEmpty = false
      }
    case .accepting, .quiescing, .draining, .releasingWaits, .leaving, .ended:
      break
    }
    return now
  }

  private func compose() {
    var report = ShutdownReport()
    for task in tasks.awaited.oldestFirst {
      report.unfinished.append(.init(kind: .task, label: task.name, age: task.age))
    }
    for component in components.all { component.report(into: &report) }
    report.foreignHandles = foreignHandles(includingClosing: false)
    if hasForeignRequests { report.foreignHandles.append(.init(kind: "request", descriptor: nil)) }
    lock.withLock { composed = report }
  }

  /// Tells those who wait. Only the first call tells anybody.
  func deliver() {
    observation.observer.shutdownReturns()
    let (report, told) = lock.withLock { () -> (ShutdownReport, [@Sendable (ShutdownReport) -> Void]) in
      if let delivered { return (delivered, []) }
      var report = composed ?? ShutdownReport()
      report.duration = .nanoseconds(MonotonicClock.now() - (began ?? 0))
      delivered = report
      let told = waiters
      waiters = []
      return (report, told)
    }
    for waiter in told { waiter(report) }
  }

  // MARK: What C code has on the loop

  /// Requests of C code: a file or a name that it asked libuv for. They end by themselves, so that shutdown waits for
  /// them. While handles or offloaded calls are left they cannot be told apart, and need not be.
  private var hasForeignRequests: Bool {
    components.areEmpty && foreignHandles(includingClosing: true).isEmpty && rawLoop.isUsedByOthers
  }

  /// A handle that is closing is its owner's no more, but its memory is.
  func foreignHandles(includingClosing: Bool) -> [ShutdownReport.ForeignHandle] {
    let ours = unsafe components.uvHandles
    var found: [ShutdownReport.ForeignHandle] = []
    unsafe rawLoop.visitOthers { handle in
      if unsafe ours.contains(handle) { return }
      if unsafe !includingClosing && uv_is_closing(handle) != 0 { return }
      var descriptor: Int32 = -1
      let status = unsafe uv_fileno(handle, &descriptor)
      let kind = unsafe uv_handle_type_name(uv_handle_get_type(handle)).map { unsafe String(cString: $0) }
      found.append(
        .init(
          kind: kind ?? "unknown", descriptor: status == 0 ? descriptor : nil, address: UInt(bitPattern: handle),
          isActive: unsafe uv_is_active(handle) != 0, isReferenced: unsafe uv_has_ref(handle) != 0,
          isClosing: unsafe uv_is_closing(handle) != 0))
    }
    return found
  }

  /// How many requests of others are under way: writes, connections, files, names, calls on the pool.
  var foreignRequests: Int { max(0, rawLoop.requests - components.requests) }
}
