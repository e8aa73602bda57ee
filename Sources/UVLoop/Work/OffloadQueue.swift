import Synchronization

/// The offloaded calls of one loop: those that wait, in order, and the pool tasks that take them. Any thread may
/// use it under the scheduler's lock.
///
/// A call that is taken out before its turn leaves a gap. The gaps, and the places of those that had their turn, are
/// closed when they are half of the line.
final class OffloadQueue: @unchecked Sendable {  // Holds because of the line above; `arrivals` is atomic.
  /// How many calls have come, for pool tasks that spin until the next one.
  let arrivals = Atomic<Int>(0)
  var poolTasks = PoolTaskCount()
  /// The pool tasks that have begun and not ended.
  var active: [PoolTask] = []
  var times = OffloadTimes()

  private var line: [Offload?] = []
  /// The first index that may be taken.
  private var head = 0
  /// How many calls wait.
  private(set) var count = 0
  /// What is kept for good after a burst.
  private static let keptCapacity = 4_096

  var isEmpty: Bool { count == 0 }

  /// The calls that wait, the first in line first.
  var waiting: [Offload] { line[head...].compactMap(\.self) }

  /// The calls that run.
  var running: [Offload] { active.compactMap(\.call) }

  func append(_ offload: Offload) {
    if line.count > 2 * count + 64 { closeGaps() }
    unsafe offload.index = line.count
    unsafe offload.queue = self
    line.append(offload)
    count += 1
  }

  func popFirst() -> Offload? {
    if count == 0 { return nil }
    while true {
      head += 1
      if let offload = line[head - 1].take() {
        left(offload)
        return offload
      }
    }
  }

  /// Takes a call out that waits here.
  func remove(_ offload: Offload) {
    unsafe line[offload.index] = nil
    left(offload)
  }

  func removeAll() -> [Offload] {
    let all = waiting
    for offload in all { remove(offload) }
    return all
  }

  private func left(_ offload: Offload) {
    unsafe offload.queue = nil
    count -= 1
    if count > 0 { return }
    line.removeAll(keepingCapacity: line.capacity <= OffloadQueue.keptCapacity)
    head = 0
  }

  private func closeGaps() {
    var kept = 0
    for index in head..<line.count {
      guard let offload = line[index] else { continue }
      unsafe offload.index = kept
      line[kept] = offload
      kept += 1
    }
    line.removeLast(line.count - kept)
    head = 0
  }
}

/// How long offloaded calls have waited for a worker, and how long they have run.
struct OffloadTimes {
  var isMeasured = false
  var waits = LatencyHistogram()
  var runs = LatencyHistogram()
}
