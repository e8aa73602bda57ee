import CLibUV

/// A request in libuv's pool that runs a loop's offloaded calls; see ``RunnerCount`` for its life.
///
/// The loop's thread makes it, submits it, and gets it back in libuv's callback, to use again.
final class Runner: Sendable {
  private let queue: OffloadQueue
  // Holds because a runner in flight keeps the loop turning.
  private unowned(unsafe) let work: LoopWork
  private nonisolated(unsafe) var request = Request(UV_WORK)  // Holds because only the loop's thread uses it.

  /// At most this much in one go, while others wait for the pool.
  private static let shareCount = 64
  private static let shareTime: Int64 = 1_000_000

  init(for work: LoopWork) {
    queue = work.queue
    unsafe self.work = work
  }

  /// On the loop's thread.
  func submit(on core: LoopCore) {
    let status = unsafe request.submit(for: self) { memory in
      unsafe uv_queue_work(
        core.machinery.loop, memory.bindMemory(to: uv_work_t.self, capacity: 1),
        { work in unsafe Runner.of(work?.pointee.data)?.run() },
        { work, status in unsafe Request.finish(work?.pointee.data, as: Runner.self)?.complete(status) })
    }
    // It refuses nothing but a missing function (`threadpool.c`).
    if status < 0 { fatalError("UVLoop: uv_queue_work answered \(status).") }
  }

  /// On the loop's thread: out of libuv's queue, if it has not begun. Its callback comes either way.
  func withdraw() { _ = unsafe request.cancel() }

  private static func of(_ data: UnsafeMutableRawPointer?) -> Runner? {
    unsafe data.map { unsafe Unmanaged<Runner>.fromOpaque($0).takeUnretainedValue() }
  }

  /// On a thread of the pool.
  private func run() {
    let ledger = PoolLedger.process
    var offload = ledger.begin(queue)
    let end = MonotonicClock.now() + Runner.shareTime
    var count = 0
    while let current = offload {
      current.runOnWorker()
      count += 1
      let now = MonotonicClock.now()
      offload = ledger.next(
        after: current, of: queue, at: now, hasHadShare: count >= Runner.shareCount || now > end)
      current.leftWorker()
    }
  }

  /// libuv's callback on the loop's thread.
  private func complete(_ status: Int32) {
    unsafe request.complete()
    unsafe work.runnerEnded(self, hasRun: status == 0)
  }
}
