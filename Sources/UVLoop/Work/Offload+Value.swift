extension Offload {
  // MARK: On any thread

  /// What the body gives, once it has run on a worker, for a caller that comes from there back to its isolation.
  @inline(__always)
  static func value<T>(
    of call: Offload, isolation: isolated (any Actor)?, _ body: consuming Disconnected<() throws -> sending T>
  ) async throws -> Disconnected<T> {
    if call.isAbandonable { return try await abandonableValue(of: call, isolation: isolation, consume body) }
    if let loop = call.loop, loop.isAtHome, let scope = loop.waits.scopes.current {
      // A task that comes back to the loop hears of its cancellation in its scope. The loop may learn of that late: a
      // call that begins meanwhile asks whether its task was cancelled.
      unsafe scope.waiting = call
      // On the loop again. Until then the call is kept.
      defer { withExtendedLifetime(call) { unsafe scope.waiting = nil } }
      return try await call.perform(body)
    }
    return try await withTaskCancellationHandler {
      _ = isolation
      return try await call.perform(body)
    } onCancel: {
      call.cancel()
    }
  }

  /// A task that has moved to a worker cannot come back before the call has ended: here another task moves there, and
  /// the caller waits for what that one leaves.
  private static func abandonableValue<T>(
    of call: Offload, isolation: isolated (any Actor)?, _ body: consuming Disconnected<() throws -> sending T>
  ) async throws -> Disconnected<T> {
    let wait = AbandonableWait<T>(on: call.loop)
    // A variable, since a closure keeps what it captured as long as it is there itself: the body is to go when the call
    // has ended.
    var body = Optional(consume body)
    // It begins on the spot, so that the call enters the queue without a detour over Swift's pool. At its end it may
    // come back here, which costs a wake and does nothing.
    let task = Task.immediate(name: Task.name) {
      if let body = body.take() { await call.perform(consume body, leavingResultIn: wait) }
    }
    let result = await wait.result(isolation: isolation) {
      task.cancel()
      call.cancel()
    }
    guard let result else { throw CancellationError() }
    return try result.value.get()
  }
}

/// Waits for the result of a call that may be abandoned: at a loop, or, without one, at a continuation.
final class AbandonableWait<T>: Sendable {
  private enum Stage {
    case waiting(CheckedContinuation<TaskResult<T>?, Never>?)
    case ended(TaskResult<T>?)
  }

  private let wait: LoopWait?
  private let lock = Lock()
  // Holds because `lock` guards it.
  private nonisolated(unsafe) var stage = Stage.waiting(nil)

  init(on loop: LoopCore?) { wait = loop.map { LoopWait(.abandonableCall, on: $0) } }

  /// The result; nil if the calling task was cancelled before, of which `cancel` is told.
  func result(
    isolation: isolated (any Actor)?, onCancel cancel: @escaping @Sendable () -> Void
  ) async -> TaskResult<T>? {
    if let wait {
      let isResumed = await wait.isResumed(isolation: isolation) {
        cancel()
        wait.cancel()
      }
      return isResumed ? wait.take(TaskResult<T>.self) : nil
    }
    return await withTaskCancellationHandler {
      await withCheckedContinuation(isolation: isolation) { continuation in
        let ended = lock.withLock { () -> TaskResult<T>?? in
          if case .ended(let result) = unsafe stage {
            unsafe stage = .ended(nil)
            return .some(result)
          }
          unsafe stage = .waiting(continuation)
          return nil
        }
        if let ended { continuation.resume(returning: ended) }
      }
    } onCancel: {
      cancel()
      finish(nil)
    }
  }

  // MARK: On a worker

  /// Nobody wants it if the caller has gone.
  func resume(with result: TaskResult<T>) {
    if let wait { wait.resume(carrying: result) } else { finish(result) }
  }

  private func finish(_ result: TaskResult<T>?) {
    let continuation = lock.withLock { () -> CheckedContinuation<TaskResult<T>?, Never>? in
      guard case .waiting(let continuation) = unsafe stage else { return nil }
      // It goes to whoever waits, and to nobody else.
      unsafe stage = .ended(continuation == nil ? result : nil)
      return continuation
    }
    continuation?.resume(returning: result)
  }
}
