import CLibUV
import Synchronization

/// A request in libuv's pool that runs a loop's offloaded calls; see ``PoolTaskCount`` for its life.
///
/// The loop's thread makes it, submits it, and gets it back in libuv's callback, to use again.
// Holds because the worker uses `queue` alone, and `call`, which the scheduler's lock guards.
@safe final class PoolTask: PendingRequest, @unchecked Sendable {
  let queue: OffloadQueue
  /// What it runs.
  var call: Offload?
  // Holds because a pool task in flight keeps the loop running.
  private unowned(unsafe) let work: LoopWork

  /// At most this much in one go, while others wait for the pool.
  private static let callBudget = 64
  private static let timeBudget: Int64 = 1_000_000
  /// For how long it spins, waiting for another call.
  private static let spinTime: Int64 = 10_000

  // MARK: On the loop

  init(for work: LoopWork, on loop: LoopCore) {
    queue = work.queue
    unsafe self.work = work
    // The calls that it runs say what a shutdown waits for.
    super.init(.work, UV_WORK, on: loop, isAwaited: false)
  }

  /// Inside the exit guard.
  func submit() {
    let status = unsafe submit { uvLoop, memory in
      unsafe uv_queue_work(
        uvLoop, memory.bindMemory(to: uv_work_t.self, capacity: 1),
        { work in unsafe PoolTask.of(work?.pointee.data)?.run() },
        { work, status in unsafe PoolTask.finish(work?.pointee.data, status) })
    }
    // It refuses nothing but a missing function (`threadpool.c`).
    if status < 0 { fatalError("UVLoop: uv_queue_work answered \(status).") }
  }

  override func ended(_ status: Int32) { unsafe work.poolTaskCameBack(self, hasBegun: status == 0) }

  // MARK: On a worker

  /// Runs one call after the other, as long as there are some and it may.
  private func run() {
    let scheduler = OffloadScheduler.process
    guard var offload = scheduler.firstCall(for: self) else { return }
    let end = MonotonicClock.now() + PoolTask.timeBudget
    var count = 0
    while true {
      offload.runOnWorker()
      count += 1
      let now = MonotonicClock.now()
      let next = scheduler.next(
        after: offload, for: self, at: now, hasUsedBudget: count >= PoolTask.callBudget || now > end)
      offload.leftWorker()
      switch next {
      case .call(let next):
        offload = next
      case .spin(let seen):
        spin(beyond: seen)
        guard let next = scheduler.endSpin(self) else { return }
        offload = next
      case .none:
        return
      }
    }
  }

  /// Returns when more calls have come, or it has been long enough.
  private func spin(beyond seen: Int) {
    let end = MonotonicClock.now() + PoolTask.spinTime
    repeat { Posix.yield() } while queue.arrivals.load(ordering: .acquiring) == seen && MonotonicClock.now() < end
  }
}

extension RequestKind {
  /// Runs offloaded calls.
  fileprivate static let work = RequestKind(rawValue: "work")
}
