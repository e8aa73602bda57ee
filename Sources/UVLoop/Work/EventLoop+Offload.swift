/// What happens to the caller of an offloaded call that is cancelled while the call runs.
public struct OffloadCancellation: Sendable, Hashable {
  private enum Kind { case wait, abandon }
  private let kind: Kind

  /// The caller waits until the call has ended, and gets its result or error. The call can poll `Task.isCancelled`.
  public static let wait = OffloadCancellation(kind: .wait)

  /// The caller goes on at once, with `CancellationError`. The call goes on too, holds its worker, and its result or
  /// error is dropped on that worker. Shutdown does not wait for it, and names it in its report.
  ///
  /// For calls that may never end and that nobody can interrupt: a read from a dead network disk, say. The call must
  /// not use what the caller takes back: the compiler sees to it, since what it captures has been sent to it.
  public static let abandon = OffloadCancellation(kind: .abandon)
}

extension EventLoop {
  /// Runs synchronous, blocking code on libuv's thread pool, and returns its result on the caller's isolation.
  ///
  /// ```swift
  /// let text = try await loop.offload(label: "read") { try String(contentsOfFile: path, encoding: .utf8) }
  /// ```
  ///
  /// The task itself moves to a worker: task-locals, `Task.isCancelled`, `Task.name` and the priority are there. The
  /// result may be of a type that is not `Sendable`, if the body keeps nothing of it. The pool is one per process and
  /// has 4 threads; see ``ThreadPool``. Calls begin in the order of their submission and end in any.
  ///
  /// Write `body` as a closure: of a function, or a parameter that is one, the compiler does not know that its result
  /// is free, and rejects it even where the result is `Sendable`.
  ///
  /// - Parameters:
  ///   - label: A name for people: in ``ThreadPool/statistics``, in errors, in a ``ShutdownReport``.
  ///   - onCancel: What happens to the caller when it is cancelled while `body` runs.
  ///   - isolation: The caller's; leave it out.
  ///   - body: Runs once, or never if the call throws one of the errors below.
  /// - Throws: What `body` throws, unchanged; `CancellationError` if the task was cancelled before `body` began;
  ///   ``UVError/Code/loopClosed`` once shutdown has begun; ``UVError/Code/wouldDeadlock`` if `body` could never begin,
  ///   because every worker is held by a call that waits, in `runBlocking`, for the pool. The message names them. What
  ///   a `Task { }` offloads that such a call has started counts as waited for as long as the call blocks; that of a
  ///   `Task.detached` does not.
  /// - Complexity: O(1) amortized, also to take a call out of the queue when it is cancelled.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Before `body` begins it is taken out of the queue, never runs, and what it captured is released.
  /// Once it runs `onCancel` decides. `body` sees `Task.isCancelled` become true either way.
  ///
  /// > libuv: `uv_queue_work`, `uv_cancel`. A `body` that never ends keeps the process from ending by `exit`, since
  /// libuv joins its pool there, and one that calls `exit` itself aborts it: a worker cannot join itself.
  public func offload<T>(
    label: String? = nil, onCancel: OffloadCancellation = .wait, isolation: isolated (any Actor)? = #isolation,
    _ body: sending @escaping () throws -> sending T
  ) async throws -> sending T {
    try WaitScope.checkCancellation()
    requireOwnProcess()
    try requireRunning("offload")
    let offload = Offload(on: core, label: label, isAbandonable: onCancel == .abandon)
    return try await Offload.value(of: offload, isolation: isolation, Disconnected(consume body)).take()
  }
}
