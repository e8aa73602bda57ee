import Synchronization

/// The offloaded calls of one loop: those that wait for libuv's pool, in order, and the pool tasks that take them. Any
/// thread may use it under the scheduler's lock.
@safe final class OffloadQueue: @unchecked Sendable {  // Holds because of the line above; `arrivals` is atomic.
  let line = OffloadLine()
  /// How many calls have come, for pool tasks that spin until the next one.
  let arrivals = Atomic<Int>(0)
  let poolTasks = PoolTaskCount()
  /// The pool tasks that have begun and not ended.
  var active: [PoolTask] = []
  /// Whether it is measured how long calls wait and run.
  var measuresTimes = false
  var times = OffloadTimes()

  /// The calls that run.
  var running: [Offload] { active.compactMap(\.call) }
}

/// How long offloaded calls have waited for a worker, and how long they have run.
struct OffloadTimes {
  var waits = LatencyHistogram()
  var runs = LatencyHistogram()
}
