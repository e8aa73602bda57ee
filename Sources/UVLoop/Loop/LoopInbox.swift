import CLibUV
import Synchronization

// States, all under one lock:
//   awake    the loop is turning and will take the inbox before it sleeps: adding needs no wake
//   asleep   the loop is about to block, or blocks, in its poll: the first to add makes it awake and signals once
//   ended    nobody takes the inbox any more: adding is refused
//
// Why a wake is never lost: an item and the change to *awake* happen under one lock. A poster that finds the loop
// awake knows that the loop has not yet looked for the last time before it sleeps; one that finds it asleep signals,
// and the signal is kept by the kernel until the loop reads it.
//
// Why the wake is kept by hand: once the lock is given up, nothing keeps this inbox for a thread that adds a job. Swift's
// runtime enqueues with a reference that keeps nothing, and the loop, woken by anything else, may run the job, which may
// drop whatever kept the loop. The compiler believes that a caller keeps `self`, and with it a `let`: it would drop a
// plain strong reference. Whoever does not signal touches nothing after the unlock, and pays for nothing.

/// The only door for other threads into a loop.
final class LoopInbox: @unchecked Sendable {  // Holds because every stored variable is guarded by `lock`.
  let wake: LoopWake
  /// Nil for a loop that goes to sleep at once.
  let spin: LoopSpin?
  private let lock = Lock()
  private let queue = WorkQueue()
  private var isAwake = true
  private var isEnded = false
  private var isAccepting = true
  private var wakes = 0
  private var posts = 0

  init(wake: LoopWake, spin: LoopSpin?) {
    self.wake = wake
    self.spin = spin
  }

  enum Admission {
    /// What users ask for: refused once shutdown has begun.
    case whileRunning
    /// What must arrive for as long as the loop turns: jobs, and the library's own messages.
    case whileTurning
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
    if isEnded {
      lock.unlock()
      return .ended(work)
    }
    if admission == .whileRunning && !isAccepting {
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
    let wake = unsafe Unmanaged.passRetained(wake)
    lock.unlock()
    unsafe wake._withUnsafeGuaranteedRef { $0.signal() }
    unsafe wake.release()
    return .accepted
  }

  /// Refuses users' work from now on and queues `last` behind everything accepted. False where that was done before.
  func stopAccepting(then last: consuming Work) -> Bool {
    let isFirst = lock.withLock {
      let isFirst = isAccepting
      isAccepting = false
      return isFirst
    }
    if isFirst { _ = add(last, .whileTurning) }
    return isFirst
  }

  /// Before the poll, when there is nothing else to do: true if the loop may block, false if work came in, which is
  /// then in `queue`.
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

  /// Nothing is taken after this. Hands out what the loop still had and then what was left here, in order and before
  /// anybody can be told that the loop has ended.
  func end(into local: WorkQueue, _ leftover: (consuming Work) -> Void) {
    lock.lock()
    defer { lock.unlock() }
    isEnded = true
    local.takeAll(of: queue)
    while let work = local.popFirst() { leftover(work) }
  }

  /// What has not been taken yet.
  var waiting: Int { lock.withLock { queue.count } }

  /// Signals sent to the wake descriptor, and items that came in from other threads.
  var counts: (wakes: Int, posts: Int) { lock.withLock { (wakes, posts) } }
}
