import CLibUV
import Synchronization

// waiting ──▶ queued ──▶ running ──▶ (its task goes home)
//    │           │
//    │           └─uv_cancel─▶ withdrawn: the task learns of it on the loop
//    └─cancelled, refused, closed─────────▲
//
// The request stays in flight until libuv's callback on the loop, which comes after the task has gone home.

/// One offloaded call: an executor whose only job is the rest of the calling task.
///
/// To await ``perform(_:)`` is to enqueue the task here, and that submits a `uv_work_t`; the worker then runs the task
/// itself. So task-locals, name, priority and `Task.isCancelled` are simply there, and the result is handed back as any
/// result of an actor's method is.
actor Offload: Occupant {
  nonisolated let label: String?
  /// The offloaded calls that wait for the caller.
  nonisolated let chain: [any Occupant]
  private nonisolated let core: LoopCore
  private nonisolated let isAbandonable: Bool
  private nonisolated let isCancelled = Atomic<Bool>(false)
  private nonisolated let blocks = Atomic<Int>(0)
  private nonisolated let asksForShutdown = Atomic<Bool>(false)

  /// Why the body does not run.
  private enum Refusal { case cancelled, closed, refused(UVError) }

  private nonisolated(unsafe) var request = Request(UV_WORK)  // Holds because only the loop's thread uses it.
  // Holds for these two because whoever runs the job reads them after the loop has handed it over, by queueing it or
  // through libuv's pool.
  private nonisolated(unsafe) var job: UnownedJob?  // Holds for the reason above.
  private nonisolated(unsafe) var refusal: Refusal?  // Holds for the reason above.
  nonisolated(unsafe) var place = -1  // Holds because only the loop's thread uses it.

  init(on core: LoopCore, label: String?, isAbandonable: Bool) {
    self.core = core
    self.label = label
    self.isAbandonable = isAbandonable
    chain = Occupants.chain
  }

  nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }

  /// How messages call it.
  nonisolated var title: String { label.map { "\"\($0)\"" } ?? "an offload without a label" }

  /// Runs the body, on the worker, or says why it does not.
  func perform<T>(_ body: sending () throws -> sending T) throws -> sending T {
    switch unsafe refusal {
    case .cancelled: throw CancellationError()
    case .closed: throw core.closedError("offload")
    case .refused(let error): throw error
    case nil: break
    }
    // Before the task goes home, so that the books are right when the caller looks.
    defer { PoolLedger.process.end(self) }
    return try body()
  }

  /// The same for a caller that does not come along, and that may have gone when the result is there.
  func perform<T>(_ body: sending () throws -> sending T, leavingResultIn handover: Handover<T>) {
    do { handover.leave(.success(Transfer(try perform(body)))) } catch { handover.leave(.failure(error)) }
  }
}

// MARK: - On the way to the pool

extension Offload: SerialExecutor {
  nonisolated func enqueue(_ job: consuming ExecutorJob) {
    unsafe self.job = UnownedJob(job)
    if core.isCurrent {
      submit()
    } else if !core.tell({ self.submit() }) {
      unsafe refusal = .closed
      core.runLate { self.runJob() }
    }
  }

  /// On the loop's thread, where libuv wants it.
  private nonisolated func submit() {
    if isCancelled.load(ordering: .acquiring) { return refuse(.cancelled) }
    if core.stop != nil { return refuse(.closed) }
    let isFirst: Bool
    do throws(UVError) {
      isFirst = try PoolLedger.process.enqueue(self)
    } catch {
      return refuse(.refused(error))
    }
    let status = isFirst ? LoopThread.asCreator(of: "libuv-worker") { queueWork() } : queueWork()
    if status < 0 {
      PoolLedger.process.withdraw(self)
      return refuse(.refused(UVError(status: status, call: "offload")))
    }
    core.work.add(self)
  }

  private nonisolated func queueWork() -> Int32 {
    unsafe request.submit(for: self) { memory in
      unsafe uv_queue_work(
        core.machinery.loop, memory.bindMemory(to: uv_work_t.self, capacity: 1),
        { work in unsafe Offload.of(work?.pointee.data)?.runOnWorker() },
        { work, status in
          unsafe Request.finish(work?.pointee.data, as: Offload.self)?.complete(status)
        })
    }
  }

  private static func of(_ data: UnsafeMutableRawPointer?) -> Offload? {
    unsafe data.map { unsafe Unmanaged<Offload>.fromOpaque($0).takeUnretainedValue() }
  }

  private nonisolated func runOnWorker() {
    PoolLedger.process.begin(self)
    Occupants.occupy(with: self) { runJob() }
  }

  private nonisolated func runJob() {
    guard let job = unsafe job else { return }
    unsafe self.job = nil
    unsafe job.runSynchronously(on: UnownedSerialExecutor(ordinary: self))
  }

  /// The body will not run: the task learns of it in the next job of the loop, never inside the call that enqueued it.
  private nonisolated func refuse(_ refusal: Refusal) {
    unsafe self.refusal = refusal
    if !core.tell({ self.runJob() }) { core.runLate { self.runJob() } }
  }

  /// libuv's callback on the loop.
  private nonisolated func complete(_ status: Int32) {
    unsafe request.complete()
    core.work.remove(self)
    if status < 0 {
      PoolLedger.process.withdraw(self)
      // Taken out by the caller's cancellation, or by a shutdown whose time was over.
      refuse(isCancelled.load(ordering: .acquiring) ? .cancelled : .closed)
    }
  }
}

// MARK: - Cancellation, deadlocks, shutdown

extension Offload {
  /// The calling task was cancelled, on any thread. A call that runs goes on, and can ask `Task.isCancelled`.
  nonisolated func cancel() {
    isCancelled.store(true, ordering: .releasing)
    core.onLoop { self.withdraw() }
  }

  /// On the loop: takes it out of the queue if it has not begun. The end comes in libuv's callback.
  nonisolated func withdraw() { _ = unsafe request.cancel() }

  nonisolated func block() { blocks.add(1, ordering: .acquiringAndReleasing) }

  nonisolated func unblock() { blocks.subtract(1, ordering: .acquiringAndReleasing) }

  nonisolated func excuse(from core: LoopCore) {
    if core === self.core { asksForShutdown.store(true, ordering: .releasing) }
  }

  /// Whether its worker waits in `runBlocking`.
  nonisolated var isBlocked: Bool { blocks.load(ordering: .acquiring) > 0 }

  /// Whether it asked for the shutdown, which must not wait for it.
  nonisolated var isExcused: Bool { asksForShutdown.load(ordering: .acquiring) }

  /// Whether its caller has gone without waiting for its end.
  nonisolated var isAbandoned: Bool { isAbandonable && isCancelled.load(ordering: .acquiring) }

  nonisolated func waits(for holder: Offload) -> Bool { chain.contains { $0 === holder } }
}
