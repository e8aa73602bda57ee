import CLibUV
import Synchronization

// How work comes to a loop, and how its turns do it.
//
// One turn: what is due of libuv's timers; our queue; the poll, which blocks only if there is nothing else to do; what
// the poll brought; the inbox and our clock; our queue again; libuv's close callbacks.

extension LoopCore {
  /// At most this much of the queue is run in one go: neither a chain that always posts its next link nor a flood from
  /// outside may keep timers and descriptors waiting.
  private static let drainCount = 4_096
  private static let drainTime: Int64 = 1_000_000

  /// Runs the queue within the budget; true if it is empty.
  private func drain() -> Bool {
    if local.isEmpty { return true }
    let end = MonotonicClock.now() + LoopCore.drainTime
    var count = 0
    var nextLook = 1
    while let work = local.popFirst() {
      counters.queued.set(local.count)
      counters.jobs.add()
      run(work)
      count += 1
      // After 1, 2, 4, 8, 16 and then every 16: the clock costs as much as a small job, and one large job is enough.
      if count == nextLook {
        if MonotonicClock.now() > end || count >= LoopCore.drainCount { break }
        nextLook += min(count, 16)
      }
    }
    return local.isEmpty
  }

  func beforePoll() {
    isBeforePoll = true
    defer { isBeforePoll = false }
    var mayBlock = drain()
    if let stop {
      if stop.advance() { mayBlock = false }
      if stop.hasEnded { return }
    }
    if pollsWithoutWaiting {
      pollsWithoutWaiting = false
      mayBlock = false
    }
    for component in components where component.beforePoll() { mayBlock = false }
    if time.virtual != nil { mayBlock = mayWaitForTime(unless: !mayBlock) }
    if mayBlock && local.isEmpty {
      if let spin = inbox.spin { look(spin) }
      mayBlock = inbox.sleep(unless: local)
      counters.queued.set(local.count)
    } else {
      mayBlock = false
    }
    // libuv counts the length of its wait from a time that it read before the timers' callbacks and our queue ran, and
    // would wait longer by as much as these took.
    if mayBlock { unsafe uv_update_time(machinery.loop) }
    keepTurning(!mayBlock)
    counters.polls.add()
    if watch.interest.contains(.turns) { watch.observer.willPoll() }
  }

  /// Something has been started that is called before a poll. If one is about to begin that comes before the next, for
  /// which this one must not wait.
  func pollNextWithoutWaiting() { if isBeforePoll { pollsWithoutWaiting = true } }

  func afterPoll() {
    counters.turns.add()
    inbox.take(into: local)
    counters.queued.set(local.count)
    // Nothing of anybody's runs between the decision to end and the end: what came in is left for the drainer.
    if stop?.hasEnded == true { return }
    if life != .running { quiesce() }
    for component in components { component.afterPoll() }
    _ = drain()
  }

  /// Never for longer than until the next timer is due.
  private func look(_ spin: LoopSpin) {
    keepTurning(false)
    unsafe uv_update_time(machinery.loop)
    let rest = unsafe uv_backend_timeout(machinery.loop)
    if rest != 0 { spin.look(atMost: rest < 0 ? .max : Int64(rest) * 1_000_000) }
  }

  /// With an active idle handle libuv polls without waiting.
  func keepTurning(_ shouldTurn: Bool) {
    if shouldTurn == isIdling { return }
    isIdling = shouldTurn
    let status = unsafe shouldTurn ? uv_idle_start(idle) { _ in } : uv_idle_stop(idle)
    if status != 0 { fatalError("UVLoop: uv_idle_start or uv_idle_stop answered \(status).") }
  }

  /// The thread's main part: returns when the stop sequence has ended and the loop is closed.
  func turnUntilEnded() {
    // `uv_run` also returns when a C neighbour calls `uv_stop`: our own state decides.
    while stop?.hasEnded != true { unsafe uv_run(machinery.loop, UV_RUN_DEFAULT) }
    // The idle handle goes with the machinery: nothing may start it any more.
    isIdling = false
    mark(current: false, isolating: true)
    // What is left are jobs, and messages of the library that find handles closed and waits ended.
    inbox.end(into: local) { drainer.add($0, for: self) }
    removeComponents()
    companion.load()?.loopHasEnded()
    scopes.removeAll()
    inbox.wake.detach()
    uptime.end()
    watch.observer.loopEnds()
    machinery.close()
    mark(current: false, isolating: false)
    drainer.open(for: self)
  }
}

// MARK: - What comes

extension LoopCore {
  /// A closure of a user: refused once shutdown has begun.
  @inline(__always)
  func post(_ work: consuming Work) throws(UVError) {
    if isCurrent {
      try requireRunning("post")
      appendOwn(stamped(work))
    } else {
      requireOwnProcess()
      if !inbox.add(stamped(work), .whileRunning).isAccepted { throw closedError("post") }
    }
  }

  /// A message of the library to the loop: runs for as long as the loop turns and is dropped after that, when every
  /// handle is closed and every wait has ended. In a forked child there is no loop to send it to. False if dropped.
  @discardableResult
  func tell(_ body: @escaping () -> Void) -> Bool {
    if isCurrent {
      appendOwn(.call(body))
      return true
    }
    return isOwnProcess && inbox.add(.call(body), .whileTurning).isAccepted
  }

  /// Runs `body` on the loop: now if this is its thread, else as a message. False if the loop has ended, and then
  /// `body` never runs: the caller resumes whoever waits for it.
  @discardableResult
  func onLoop(_ body: @escaping () -> Void) -> Bool {
    if isCurrent {
      body()
      return true
    }
    return tell(body)
  }

  /// Jobs are never refused: somebody awaits them.
  @inline(__always)
  func accept(_ work: consuming Work) {
    if isCurrent {
      appendOwn(stamped(work))
    } else {
      acceptFromAfar(stamped(work))
    }
  }

  /// In a callback of libuv's: runs it before this returns, where nothing older waits and no job runs.
  func runNow(_ work: consuming Work) {
    if runsInline && local.isEmpty && runningJob == 0 {
      counters.jobs.add()
      run(work)
    } else {
      accept(work)
    }
  }

  /// What comes on the loop's own thread.
  @inline(__always)
  func appendOwn(_ work: consuming Work) {
    local.append(work)
    counters.queued.set(local.count)
  }

  func acceptFromAfar(_ work: consuming Work) {
    requireOwnProcess()
    if case .ended(let work) = inbox.add(work, .whileTurning) { drainer.add(work, for: self) }
  }

  /// What must still happen after the loop has ended.
  func runLate(_ body: @escaping () -> Void) { drainer.add(.call(body), for: self) }

  /// Runs work where an observer sees it.
  @inline(__always)
  func run(_ work: consuming Work) {
    if watch.interest.contains(.calls) { runObserved(work) } else { perform(work) }
  }

  @inline(__always)
  func perform(_ work: consuming Work) {
    switch consume work {
    case .call(let body):
      body()
    case .job(let job, let identity):
      perform(job, as: identity)
    case .stamped(let stamped):
      // Nobody wants to know any more.
      if let work = stamped.take() { performAgain(work) }
    }
  }
}
