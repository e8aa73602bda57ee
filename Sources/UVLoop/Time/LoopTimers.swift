import CLibUV
import Synchronization

/// What has a limit of time. Called on the loop's thread.
protocol LoopDeadline: AnyObject {
  /// The time is over.
  func expire()
  /// The loop shuts down, and has taken it out of the timers.
  func drop()
}

/// What is due when, on one loop: sleepers, scheduled calls and time limits, behind one timer of libuv's. Belongs to
/// the loop's thread; others may read what is pending under the registry lock.
///
/// Due entries are fired after the poll and nowhere else; the `uv_timer_t` only ends the poll. Before each poll it is
/// armed for the earliest deadline, rounded up, and if that has come already the poll does not wait.
@safe final class LoopTimers: LoopComponent {
  /// Something that waits for its time.
  enum Entry {
    case call(() -> Void)
    /// The same, on a loop of which somebody wants to know where things come from.
    case tracedCall(TracedCall)
    case sleeper(LoopWait)
    case limit(any LoopDeadline)
  }

  // Holds because nobody asks for it once the core has ended: then `isClosed` is set, which is looked at first.
  unowned(unsafe) let loop: LoopCore
  /// For a scheduled call that outlives the core, and says what it was.
  let loopName: String
  let time: TimeSource
  /// Of the core, which is retained wherever it is used.
  private let registryLock: BiasedLock
  private let watch: LoopObservation
  private let counters: LoopCounters
  private let thread: LoopThread
  /// Nil on real time.
  let testClock: TestClock?
  private let timer: UnsafeMutablePointer<uv_timer_t>
  private let queue = TimerQueue<Entry>()
  private var armed: UInt64?
  private var dropped = 0
  /// Set once nothing is pending any more, for ever. From then on nothing of a scheduled call changes.
  private let isClosed = Atomic(false)

  init(_ loop: LoopCore) throws(UVError) {
    unsafe self.loop = loop
    loopName = loop.name
    time = loop.time
    registryLock = loop.registryLock
    watch = loop.observation
    counters = loop.counters
    thread = loop.thread
    testClock = loop.time.virtual.map { TestClock($0) }
    unsafe timer = try loop.rawLoop.open(UV_TIMER, as: uv_timer_t.self, "uv_timer_init") { uvLoop, timer in
      unsafe uv_timer_init(uvLoop, timer)
    }
    unsafe timer.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
  }

  // MARK: On any thread

  /// Where a scheduled call may be looked at: in the loop's isolation, and anywhere once nothing changes any more.
  var isReadable: Bool { isClosed.load(ordering: .acquiring) || thread.isIsolating }

  /// What is known of an entry. Theirs is the order of deadline and then of sequence.
  struct Pending {
    enum Kind { case call, sleeper, limit }

    let kind: Kind
    let deadline: Int64
    let sequence: UInt32
    let site: CallSite?
  }

  /// Copies of all that waits, in no order. Off the loop under the registry lock.
  var pending: [Pending] {
    var all: [Pending] = []
    all.reserveCapacity(queue.count)
    queue.forEachPending { entry, deadline, sequence in
      let (kind, site): (Pending.Kind, CallSite?) =
        switch entry {
        case .call: (.call, nil)
        case .tracedCall(let call): (.call, call.site)
        case .sleeper: (.sleeper, nil)
        case .limit: (.limit, nil)
        }
      all.append(Pending(kind: kind, deadline: deadline, sequence: sequence, site: site))
    }
    return all
  }

  // MARK: On the loop

  func insert(_ entry: consuming Entry, at deadline: Int64) -> TimerToken {
    registryLock.lock()
    defer { registryLock.unlock() }
    return queue.insert(consume entry, at: deadline)
  }

  func insert(_ body: consuming @escaping () -> Void, at deadline: Int64) -> TimerToken {
    if let site = watch.siteIfWanted { return insert(.tracedCall(TracedCall(consume body, site)), at: deadline) }
    return insert(.call(consume body), at: deadline)
  }

  /// True if it was there. What it held is released when the queue is in order: it may call back.
  @discardableResult
  func remove(_ token: TimerToken) -> Bool {
    let entry = registryLock.withOwnership { queue.remove(token) }
    return entry != nil
  }

  func contains(_ token: TimerToken) -> Bool { queue.contains(token) }

  /// Whether shutdown came before its time did.
  func wasDropped(_ token: TimerToken) -> Bool { queue.wasHandedOut(token) }

  func move(_ token: TimerToken, to deadline: Int64) -> Bool {
    registryLock.withOwnership { queue.move(token, to: deadline) }
  }

  func afterPoll() {
    guard let earliest = queue.earliest else { return }
    let now = time.now
    if earliest > now { return }
    registryLock.withOwnership { queue.beginPass(at: now) }
    while let deadline = queue.nextInPass, let entry = registryLock.withOwnership({ queue.popDue() }) {
      counters.timers.add()
      switch entry {
      case .call(let body): call(body, deadline, nil)
      case .tracedCall(let traced): call(traced.body, deadline, traced.site)
      case .sleeper(let sleeper): sleeper.resume()
      case .limit(let limit): limit.expire()
      }
    }
    registryLock.withOwnership { queue.endPass() }
  }

  @inline(__always)
  private func call(_ body: () -> Void, _ deadline: Int64, _ site: CallSite?) {
    watch.observing(
      LoopCall(kind: .scheduledCall, site: site, since: time.virtual == nil ? deadline : nil), body)
  }

  func beforePoll() -> Bool {
    guard let earliest = queue.earliest, earliest != .max else {
      if armed != nil {
        armed = nil
        _ = unsafe uv_timer_stop(timer)
      }
      return false
    }
    // A deadline that is not yet due must not be armed with 0, which would fire without having waited.
    if earliest <= time.now { return true }
    if testClock != nil { return false }
    let moment = earliest.millisecondsRoundedUp
    if moment == armed { return false }
    // The sum is the moment however old libuv's time is.
    let loopTime = unsafe uv_now(loop.rawLoop.loop)
    armed = moment
    // The callback has nothing to do: after this poll the queue is looked through.
    let status = unsafe uv_timer_start(
      timer, { unsafe LoopTimers.disarm($0) }, moment > loopTime ? moment - loopTime : 1, 0)
    if status != 0 { fatalError("UVLoop: uv_timer_start answered \(status).") }
    return false
  }

  func advanceIfIdle() -> Bool {
    guard let testClock else { return false }
    let earliest = queue.earliest.flatMap { $0 == .max ? nil : $0 }
    return unsafe testClock.goOn(earliest: earliest, isAlone: !loop.rawLoop.awaitsOthers)
  }

  private static func disarm(_ timer: UnsafeMutablePointer<uv_timer_t>?) {
    if let this = unsafe timer?.pointee.data {
      unsafe Unmanaged<LoopTimers>.fromOpaque(this).takeUnretainedValue().armed = nil
    }
  }

  func releaseWaits() {
    testClock?.releaseWaits()
    let entries = registryLock.withOwnership { queue.close() }
    isClosed.store(true, ordering: .releasing)
    for entry in entries {
      switch entry {
      case .call, .tracedCall: dropped += 1
      case .sleeper(let sleeper): sleeper.endClosed()
      case .limit(let limit): limit.drop()
      }
    }
  }

  func report(into report: inout ShutdownReport) { report.droppedCalls += dropped }
}

/// A scheduled call and where it was scheduled.
final class TracedCall {
  let body: () -> Void
  let site: CallSite

  init(_ body: consuming @escaping () -> Void, _ site: CallSite) {
    self.body = body
    self.site = site
  }
}

extension LoopCore {
  private static let timersKey = ComponentKey<LoopTimers>()

  /// The loop's timers.
  ///
  /// `uv_timer_init` cannot fail in any version of libuv; making them needs the loop's thread.
  var timers: LoopTimers {
    component(LoopCore.timersKey) { loop in
      do { return try LoopTimers(loop) } catch { fatalError("UVLoop: \(error)") }
    }
  }
}
