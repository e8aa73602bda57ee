import CLibUV
import Synchronization

// States, all under one lock:
//   awake    the loop is running and will take the inbox before it sleeps: adding needs no wake
//   asleep   the loop is about to block, or blocks, in its poll: the first to add makes it awake and signals once
//
// The loop's life changes under the same lock: whether something came before its shutdown or after is decided here, and
// is the same for everything that was in the queue. Where nothing depends on that order the life is read without it.
//
// Why a wake is never lost: an item and the change to *awake* happen under one lock. A poster that finds the loop
// awake knows that the loop has not yet looked for the last time before it sleeps; one that finds it asleep signals,
// and the signal is kept by the kernel until the loop reads it.
//
// Why the waker is kept by hand: once the lock is given up, nothing keeps this inbox for a thread that adds a job.
// Swift's runtime enqueues with a reference that keeps nothing, and the loop, woken by anything else, may run the job,
// which may drop whatever kept the loop. The compiler believes that a caller keeps `self`, and with it a `let`: it
// would drop a plain strong reference. Whoever does not signal touches nothing after the unlock, and pays for nothing.

/// The only door for other threads into a loop.
final class LoopInbox: @unchecked Sendable {  // Holds because `lock` guards every variable.
  let waker: LoopWaker
  /// Nil for a loop that goes to sleep at once.
  let spin: LoopSpin?
  private let lock = Lock()
  private let queue = WorkQueue()
  private var isAwake = true
  /// Written under the lock.
  private let lifeState = Atomic(LoopLife.accepting)
  private var wakes = 0
  private var posts = 0

  init(waker: LoopWaker, spin: LoopSpin?) {
    self.waker = waker
    self.spin = spin
  }

  // MARK: On any thread

  enum Admission {
    /// What users ask for: refused once shutdown has begun.
    case post
    /// What must arrive for as long as the loop runs: jobs, and the library's own messages.
    case job
  }

  enum Answer: ~Copyable {
    case accepted
    case refused
    /// The loop has ended. The caller has the work back, and finds somebody else to run a job.
    case ended(Work)

    var isAccepted: Bool {
      switch self {
      case .accepted: true
      default: false
      }
    }
  }

  func add(_ work: consuming Work, _ admission: Admission) -> Answer {
    lock.lock()
    let life = life
    if !life.acceptsJobs {
      lock.unlock()
      return .ended(work)
    }
    if admission == .post && !life.acceptsPosts {
      lock.unlock()
      return .refused
    }
    queue.append(work)
    posts &+= 1
    spin?.noteArrival()
    if isAwake {
      lock.unlock()
      return .accepted
    }
    isAwake = true
    wakes &+= 1
    let waker = unsafe Unmanaged.passRetained(waker)
    lock.unlock()
    unsafe waker._withUnsafeGuaranteedRef { $0.signal() }
    unsafe waker.release()
    return .accepted
  }

  /// Where the loop is in its life. It may have gone on when the caller looks at the answer.
  @inline(__always)
  var life: LoopLife { lifeState.load(ordering: .acquiring) }

  func changeLife<R>(_ change: (inout LoopLife) -> R) -> R { lock.withLock { moveLife(change) } }

  private func moveLife<R>(_ change: (inout LoopLife) -> R) -> R {
    var life = lifeState.load(ordering: .relaxed)
    defer { lifeState.store(life, ordering: .releasing) }
    return change(&life)
  }

  /// Refuses users' work from now on and queues `last` behind everything accepted. False where that was done before.
  func stopAccepting(then last: consuming Work) -> Bool {
    let isFirst = changeLife { $0.stop() }
    if isFirst { _ = add(last, .job) }
    return isFirst
  }

  /// What has not been taken yet.
  var waiting: Int { lock.withLock { queue.count } }

  /// Signals sent to the waker, and items that came in from other threads.
  var counts: (wakes: Int, posts: Int) { lock.withLock { (wakes, posts) } }

  // MARK: On the loop

  /// Takes a step of the shutdown. After the last one nothing is taken any more: hands out what the loop still had and
  /// then what is left here, in order and before anything can find that the loop has ended.
  func step(
    _ now: LoopLife.Conditions, into local: WorkQueue, _ leftover: (consuming Work) -> Void
  ) -> LoopLife.Step {
    lock.lock()
    defer { lock.unlock() }
    let step = moveLife { $0.next(now) }
    if step == .end {
      local.takeAll(of: queue)
      while let work = local.popFirst() { leftover(work) }
    }
    return step
  }

  /// Before the poll, when there is nothing else to do: true if the loop may block, false if work came in, which is
  /// then in `local`.
  func sleep(unless local: WorkQueue) -> Bool {
    lock.lock()
    defer { lock.unlock() }
    if queue.isEmpty {
      isAwake = false
      return true
    }
    spin?.noteTaken()
    local.takeAll(of: queue)
    return false
  }

  /// After the poll, and whenever the loop looks: takes everything.
  func take(into local: WorkQueue) {
    lock.lock()
    isAwake = true
    spin?.noteTaken()
    local.takeAll(of: queue)
    lock.unlock()
  }
}
