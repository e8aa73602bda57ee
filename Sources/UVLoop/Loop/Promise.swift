/// A result that a callback gives and tasks await, once.
///
/// ```swift
/// let answer = try Promise<Int>()
/// try loop.schedule(after: .seconds(1)) {
///   answer.resume(returning: 42)
/// }
/// print(try await answer.value())
/// ```
///
/// A continuation would do it too, but resumes on Swift's global pool and hops back; a promise that is resumed on its
/// loop resumes the tasks of that loop without leaving the thread. It may have several waiters, and a result before
/// anybody waits.
///
/// Another thread cannot touch it. Keep it in a ``LoopActor`` and resume it there:
/// `try actor.post { $0.answer?.resume(returning: 42) }`. On the loop itself `schedule(after: .zero) { … }` takes a
/// closure that may capture it, which that of `post` may not.
///
/// > Isolation: Belongs to the loop on which it was made. Off the loop nothing of it compiles.
///
/// > Ownership: A waiter keeps the promise alive. If no one is left to resume it, the wait lasts until shutdown.
public final class Promise<Value> {
  private let loop: LoopCore
  private var result: Result<Value, any Error>?
  private var waiters = Waiters()

  // MARK: On the loop

  /// A promise without a result.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation) throws(UVError) {
    loop = try isolation.currentCore(for: "Promise.init")
  }

  /// Whether a result has been given.
  public var isResumed: Bool {
    loop.requireReadable("Promise.isResumed")
    return result != nil
  }

  /// Gives the value. The first result wins; later calls return false and do nothing.
  @discardableResult
  public func resume(returning value: Value) -> Bool { resume(with: .success(value)) }

  /// Gives an error. The first result wins; later calls return false and do nothing.
  @discardableResult
  public func resume(throwing error: any Error) -> Bool { resume(with: .failure(error)) }

  /// Gives the result. The first one wins; later calls return false and do nothing.
  @discardableResult
  public func resume(with result: Result<Value, any Error>) -> Bool {
    if !loop.isIsolating { loop.trapOffLoop("Promise.resume", "Resume it with `loop.post { … }`.") }
    if self.result != nil { return false }
    self.result = result
    var waiters = waiters.take()
    while let wait = waiters.popFirst() { wait.resume() }
    return true
  }

  /// Waits for the result; gives it at once if it is there, also when the task is cancelled and after shutdown.
  ///
  /// - Throws: The error that was given; ``UVError/Code/loopClosed`` when the loop shuts down first.
  ///
  /// > Cancellation: Ends the wait at once with `CancellationError`; the other waiters go on.
  public func value(isolation: isolated (any Actor)? = #isolation) async throws -> Value {
    if loop.isIsolating, let result { return try result.get() }
    try Task.checkCancellation()
    try loop.requireOnLoop("Promise.value")
    let wait = LoopWait(.promise, on: loop, owner: PromiseWaits.owner)
    waiters.append(wait)
    defer { waiters.remove(wait) }
    try await wait.value("Promise.value")
    guard let result else { throw loop.closedError("Promise.value") }
    return try result.get()
  }
}

extension Promise: CustomStringConvertible {
  // MARK: On any thread

  /// The loop, and whether there is a result; off the loop only the loop.
  public var description: String {
    let state = !loop.isReadable ? LoopCore.unreadState : isResumed ? "resumed" : "\(waiters.count) waiting"
    return "Promise on loop \"\(loop.name)\", \(state)"
  }
}

/// Who begins the wait for a promise, which lists it itself. Called on the loop's thread.
private final class PromiseWaits: WaitOwner, Sendable {
  static let owner = PromiseWaits()

  func begin(_ wait: LoopWait) { wait.loop.waits.add(wait) }

  func withdraw(_ wait: LoopWait) {}
}
