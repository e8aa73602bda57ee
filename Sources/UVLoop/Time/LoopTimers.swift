import CLibUV

/// What is due when, on one loop: sleepers, scheduled calls and time limits, behind one timer of libuv's.
///
/// Due entries are fired after the poll and nowhere else; the `uv_timer_t` only ends the poll. Before each poll it is
/// armed for the earliest deadline, rounded up, and if that has come already the poll does not wait.
@safe final class LoopTimers: LoopResident {
  /// Something that waits for its time.
  enum Entry {
    case call(() -> Void)
    case sleeper(Sleeper)
    case limit(TimeLimit)
  }

  // Holds because nobody asks for it once the core has ended: what outlives that is not pending any more.
  unowned(unsafe) let core: LoopCore
  /// For a scheduled call that outlives the core, and says what it was.
  let loopName: String
  let time: TimeSource
  /// Nil on real time.
  let testClock: TestClock?
  private let timer: UnsafeMutablePointer<uv_timer_t>
  private let queue = TimerQueue<Entry>()
  private var armed: UInt64?
  private var dropped = 0

  init(_ core: LoopCore) throws(UVError) {
    unsafe self.core = core
    loopName = core.name
    time = core.time
    testClock = core.time.virtual.map { TestClock($0) }
    unsafe timer = try core.machinery.open(UV_TIMER, as: uv_timer_t.self, "uv_timer_init") { loop, timer in
      unsafe uv_timer_init(loop, timer)
    }
    unsafe timer.pointee.data = unsafe Unmanaged.passUnretained(self).toOpaque()
  }

  /// How many entries wait.
  var count: Int { queue.count }

  func insert(_ entry: Entry, at deadline: Int64) -> TimerToken { queue.insert(entry, at: deadline) }

  /// True if it was there. What it held is released when the queue is in order: it may call back.
  @discardableResult
  func remove(_ token: TimerToken) -> Bool { queue.remove(token) != nil }

  func contains(_ token: TimerToken) -> Bool { queue.contains(token) }

  /// Whether shutdown came before its time did.
  func wasDropped(_ token: TimerToken) -> Bool { queue.wasHandedOut(token) }

  func move(_ token: TimerToken, to deadline: Int64) -> Bool { queue.move(token, to: deadline) }

  func afterPoll() {
    guard let earliest = queue.earliest else { return }
    let now = time.now
    if earliest > now { return }
    queue.beginPass(at: now)
    while let entry = queue.popDue() {
      switch entry {
      case .call(let body): body()
      case .sleeper(let sleeper): sleeper.expire()
      case .limit(let limit): limit.expire()
      }
    }
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
    let moment = UInt64(earliest) / 1_000_000 + (earliest % 1_000_000 == 0 ? 0 : 1)
    if moment == armed { return false }
    // The sum is the moment however old libuv's time is.
    let loopTime = unsafe uv_now(core.machinery.loop)
    armed = moment
    // The callback has nothing to do: after this poll the queue is looked through.
    let status = unsafe uv_timer_start(
      timer, { unsafe LoopTimers.disarm($0) }, moment > loopTime ? moment - loopTime : 1, 0)
    if status != 0 { fatalError("UVLoop: uv_timer_start answered \(status).") }
    return false
  }

  func passIdle() -> Bool {
    guard let testClock else { return false }
    let earliest = queue.earliest.flatMap { $0 == .max ? nil : $0 }
    return unsafe testClock.goOn(earliest: earliest, isAlone: !core.machinery.awaitsOthers)
  }

  private static func disarm(_ timer: UnsafeMutablePointer<uv_timer_t>?) {
    if let this = unsafe timer?.pointee.data {
      unsafe Unmanaged<LoopTimers>.fromOpaque(this).takeUnretainedValue().armed = nil
    }
  }

  func releaseWaits() {
    testClock?.close()
    for entry in queue.close() {
      switch entry {
      case .call: dropped += 1
      case .sleeper(let sleeper): sleeper.gate.fire(.closed)
      case .limit(let limit): limit.close()
      }
    }
  }

  func report(into report: inout ShutdownReport) { report.droppedCalls += dropped }
}

extension LoopCore {
  /// The loop's timers.
  ///
  /// `uv_timer_init` cannot fail in any version of libuv; making them needs the loop's thread.
  var timers: LoopTimers {
    resident(.timers) { core in
      do { return try LoopTimers(core) } catch { fatalError("UVLoop: \(error)") }
    }
  }
}
