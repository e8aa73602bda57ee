import Synchronization

/// Which calls of an ``OffloadLane`` have a place in libuv's pool, and which wait for one. Any thread may use it under
/// the scheduler's lock.
@safe final class LaneState: @unchecked Sendable {  // Holds because of the line above.
  let name: String
  var limit: Int
  private struct Place {
    let call: Offload
    let since: Int64
  }

  /// Those that have a place: they lie in the queue of their loop, or run.
  private var held: [Place] = []
  /// Those that wait for one.
  let line = OffloadLine()
  var times = OffloadTimes()
  private var generation = ProcessGeneration.join()

  init(_ name: String, _ limit: Int) {
    self.name = name
    self.limit = limit
  }

  private var calls: [Offload] { held.map(\.call) }

  /// Since when a call has its place.
  func admission(of call: Offload) -> Int64? { held.first { $0.call === call }?.since }

  var isFull: Bool {
    forgetParent()
    return held.count >= limit || !line.isEmpty
  }

  /// A call comes: whether it has a place. If not it waits in line.
  func takes(_ call: Offload) -> Bool {
    if isFull {
      line.append(call)
      return false
    }
    held.append(Place(call: call, since: unsafe call.since))
    return true
  }

  /// One has ended, or will not begin.
  func leave(_ call: Offload) { held.removeAll { $0.call === call } }

  /// Gives the places that are free to those who wait, and puts them into the queues of their loops.
  func admit(at now: Int64) -> [Offload] {
    forgetParent()
    var admitted: [Offload] = []
    while held.count < limit, let call = line.popFirst() {
      held.append(Place(call: call, since: now))
      admitted.append(call)
      if let queue = unsafe call.queue {
        queue.line.append(call)
        queue.arrivals.add(1, ordering: .releasing)
      }
    }
    return admitted
  }

  /// In the child of a fork what was queued is dropped, as by libuv, and not freed: it is half of something.
  private func forgetParent() {
    if generation == ProcessGeneration.current { return }
    generation = ProcessGeneration.current
    for call in calls + line.removeAll() { _ = unsafe Unmanaged.passRetained(call) }
    held = []
  }

  /// Without the lock: libuv wants each loop's own thread for a pool task.
  static func send(for admitted: [Offload]) {
    for call in admitted {
      if let loop = call.loop { loop.onLoop { loop.work.sendPoolTask() } }
    }
  }

  /// Whether calls wait and all that have a place block: after the limit was lowered they may be held up for good.
  var mayBeStuck: Bool { !line.isEmpty && held.count >= limit && held.allSatisfy(\.call.isBlocked) }

  /// As whoever looks for deadlocks sees it.
  func places(below pool: Int) -> OffloadDeadlock.Pool {
    OffloadDeadlock.Pool(
      title: "lane \"\(name)\"", places: "places", growth: "raise its limit", size: limit,
      running: calls.filter { !$0.isOver }, waiting: line.waiting, below: pool)
  }

  /// Calls that have a place, or wait for one.
  var isInUse: Bool {
    forgetParent()
    return !held.isEmpty || !line.isEmpty
  }

  /// As a watchdog sees it.
  var load: WorkLoad {
    let running = calls.filter { unsafe !$0.isLeaving && $0.line == nil }.sorted { unsafe $0.since < $1.since }
    return WorkLoad(
      id: ObjectIdentifier(self), lane: name, queued: line.count, oldest: line.waiting.first.map { unsafe $0.since },
      running: running.map { .init($0) })
  }

  func statistics(at now: Int64) -> OffloadLane.Statistics {
    forgetParent()
    func age(_ call: Offload) -> Duration { unsafe .nanoseconds(max(0, now - call.since)) }
    // One that has ended gives its place back behind its caller, who may look before.
    let unended = calls.filter { !$0.isOver }
    let running = unended.filter { unsafe $0.line == nil }.sorted { unsafe $0.since < $1.since }
    return OffloadLane.Statistics(
      name: name, limit: limit, queued: line.count, running: unended.count,
      jobs: running.map { ThreadPool.Job(label: $0.label, age: age($0)) }, oldestQueued: line.waiting.first.map(age),
      waits: times.waits, runs: times.runs)
  }
}
