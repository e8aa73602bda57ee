// The file is long because the iterations of a loop on real time and on virtual time are one story.

import CLibUV

// One iteration: what is due of libuv's timers; our queue; the poll, which blocks only if there is nothing else to do;
// what the poll brought; the inbox and our clock; our queue again; libuv's close callbacks.
//
// A loop whose time is virtual goes on in time when nothing but time is left to wait for, and no sooner:
//
//   busy      something is due or queued, or ran since the last poll
//   checking  nothing is, and the loop polls once without waiting: a descriptor that was started just now is handed to
//             the kernel in the poll, and what libuv keeps for the next iteration comes there
//   idle      that poll led to nothing, no descriptor is ready, and no offloaded call is under way
//
// Where the time may not go on the loop blocks, as it does on real time: what it waits for wakes it.

/// Runs libuv's loop: what happens before each poll and after it. Belongs to the loop's thread, and to whoever
/// makes the loop until that starts.
@safe final class LoopDriver {
  let time: TimeSource
  let rawLoop: RawLoop
  private let thread: LoopThread
  private let inbox: LoopInbox
  private let queue: LoopQueue
  private let components: LoopComponents
  private let waits: LoopWaits
  private let shutdown: LoopShutdown
  private let observation: LoopObservation

  private let idle: UnsafeMutablePointer<uv_idle_t>
  private var isIdling = false
  /// Whether it is about to poll, and whether that poll must not wait.
  private var isBeforePoll = false
  private var pollsWithoutWaiting = false
  /// On virtual time: how many jobs had run when the loop last began a poll only to see whether anything was left.
  private var jobsAtLastCheck: Int?

  /// Makes the internal handles.
  init(
    _ time: TimeSource, _ rawLoop: RawLoop, _ thread: LoopThread, _ inbox: LoopInbox, _ queue: LoopQueue,
    _ components: LoopComponents, _ waits: LoopWaits, _ shutdown: LoopShutdown, _ observation: LoopObservation
  ) throws(UVError) {
    self.time = time
    self.rawLoop = rawLoop
    self.thread = thread
    self.inbox = inbox
    self.queue = queue
    self.components = components
    self.waits = waits
    self.shutdown = shutdown
    self.observation = observation
    try inbox.waker.attach(to: rawLoop)
    unsafe idle = try rawLoop.open(UV_IDLE, as: uv_idle_t.self, "uv_idle_init") { unsafe uv_idle_init($0, $1) }
    try startHooks()
  }

  private func startHooks() throws(UVError) {
    let prepare = unsafe try rawLoop.open(UV_PREPARE, as: uv_prepare_t.self, "uv_prepare_init", for: self) {
      unsafe uv_prepare_init($0, $1)
    }
    unsafe try check(
      uv_prepare_start(prepare) { handle in
        if let this = unsafe handle?.pointee.data {
          unsafe Unmanaged<LoopDriver>.fromOpaque(this)._withUnsafeGuaranteedRef { $0.beforePoll() }
        }
      }, "uv_prepare_start")

    let check = unsafe try rawLoop.open(UV_CHECK, as: uv_check_t.self, "uv_check_init", for: self) {
      unsafe uv_check_init($0, $1)
    }
    unsafe try UVLoop.check(
      uv_check_start(check) { handle in
        if let this = unsafe handle?.pointee.data {
          unsafe Unmanaged<LoopDriver>.fromOpaque(this)._withUnsafeGuaranteedRef { $0.afterPoll() }
        }
      }, "uv_check_start")
  }

  /// The thread's main part: returns when the shutdown has taken its last step and libuv's loop is closed.
  func runUntilEnded() {
    // `uv_run` also returns when C code calls `uv_stop`: our own state decides.
    while inbox.life.acceptsJobs { unsafe uv_run(rawLoop.loop, UV_RUN_DEFAULT) }
    // The idle handle goes with the raw loop: nothing may start it any more.
    isIdling = false
    components.removeAll()
    waits.scopes.removeAll()
    inbox.waker.detach()
    observation.uptime.end()
    observation.observer.loopEnds()
    rawLoop.close()
    inbox.changeLife { $0.end() }
    thread.mark(current: false, isolating: false)
    queue.openFallback()
  }

  // MARK: One iteration

  private func beforePoll() {
    isBeforePoll = true
    defer { isBeforePoll = false }
    var mayBlock = queue.drain()
    let life = inbox.life
    if !life.acceptsJobs { return }
    if life.takesSteps {
      if shutdown.advance() { mayBlock = false }
      if !inbox.life.acceptsJobs { return }
    }
    if pollsWithoutWaiting {
      pollsWithoutWaiting = false
      mayBlock = false
    }
    for component in components.all where component.beforePoll() { mayBlock = false }
    if time.virtual != nil { mayBlock = mayWaitForTime(unless: !mayBlock) }
    if mayBlock && queue.isEmpty {
      if let spin = inbox.spin { spinBeforeSleep(spin) }
      mayBlock = queue.sleep()
    } else {
      mayBlock = false
    }
    // libuv counts the length of its wait from a time that it read before the timers' callbacks and our queue ran, and
    // would wait longer by as much as these took.
    if mayBlock { unsafe uv_update_time(rawLoop.loop) }
    keepIterating(!mayBlock)
    observation.counters.polls.add()
    if observation.interest.contains(.iterations) { observation.observer.willPoll() }
  }

  private func afterPoll() {
    observation.counters.iterations.add()
    // Nothing of anybody's runs between the decision to end and the end.
    if !inbox.life.acceptsJobs { return }
    queue.take()
    // Asked behind that: what ends the draining may have been taken.
    if inbox.life == .quiescing { shutdown.quiesce() }
    for component in components.all { component.afterPoll() }
    _ = queue.drain()
  }

  /// Something has been started that is called before a poll. If one is about to begin that comes before the next, for
  /// which this one must not wait.
  func pollNextWithoutWaiting() { if isBeforePoll { pollsWithoutWaiting = true } }

  /// Never for longer than until the next timer is due.
  private func spinBeforeSleep(_ spin: LoopSpin) {
    keepIterating(false)
    unsafe uv_update_time(rawLoop.loop)
    let rest = unsafe uv_backend_timeout(rawLoop.loop)
    if rest != 0 { spin.run(atMost: rest < 0 ? .max : Int64(rest) * 1_000_000) }
  }

  /// With an active idle handle libuv polls without waiting.
  private func keepIterating(_ shouldIterate: Bool) {
    if shouldIterate == isIdling { return }
    isIdling = shouldIterate
    let status = unsafe shouldIterate ? uv_idle_start(idle) { _ in } : uv_idle_stop(idle)
    if status != 0 { fatalError("UVLoop: uv_idle_start or uv_idle_stop answered \(status).") }
  }

  // MARK: Virtual time

  /// Before the poll, on a loop whose time is virtual: whether the loop may block, as far as time is concerned.
  private func mayWaitForTime(unless isBusy: Bool) -> Bool {
    // In a shutdown nobody waits for time any more.
    if !inbox.life.acceptsPosts { return !isBusy }
    if isBusy || !queue.isEmpty {
      jobsAtLastCheck = nil
      return false
    }
    let jobs = observation.counters.jobs.value
    if jobsAtLastCheck != jobs {
      jobsAtLastCheck = jobs
      return false
    }
    // Whatever comes next, the loop must look again after it.
    jobsAtLastCheck = nil
    // Our own handle would make libuv say that it has something to do.
    keepIterating(false)
    if !components.all.allSatisfy(\.hasNoWork) { return true }
    // Not left to the poll, which waits though a watcher is only about to be handed to the kernel.
    if rawLoop.isReady { return false }
    // As late as can be: of a post that comes now nobody can say whether it was before the time went on, or after.
    queue.take()
    if !queue.isEmpty { return false }
    for component in components.all where component.advanceIfIdle() { return false }
    return true
  }
}
