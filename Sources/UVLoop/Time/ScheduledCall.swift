/// A call that waits for its time, as ``EventLoop/schedule(after:isolation:_:)`` made it.
///
/// > Isolation: Belongs to its loop; nothing of it compiles elsewhere. A call that reaches it off the loop through
/// unsafe code traps.
///
/// > Ownership: The loop keeps it while it is pending. Its closure is released when it has fired, was cancelled, or was
/// dropped at shutdown. Dropping this object cancels nothing.
public final class ScheduledCall {
  private enum State { case pending(TimerToken), fired, cancelled, dropped }

  private let core: LoopCore
  private var state: State
  private var body: (() -> Void)?
  private var moment: Int64

  init(on core: LoopCore, at deadline: Int64, _ body: @escaping () -> Void) {
    self.core = core
    self.body = body
    moment = deadline
    state = .fired
    state = .pending(core.timers.insert(.call(self), at: deadline))
  }

  /// When it fires, fired, or would have fired.
  public var deadline: EventLoop.Clock.Instant { .init(nanoseconds: moment) }

  /// Whether it will fire.
  public var isPending: Bool {
    if case .pending = state { return true }
    return false
  }

  /// Keeps it from firing, and releases its closure now. After it has fired, and twice, it does nothing.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  public func cancel() {
    guard case .pending(let token) = state else { return }
    requireLoop("cancel")
    state = .cancelled
    // Released at the end: what it held may call back into this.
    let body = body.take()
    core.timers.remove(token)
    withExtendedLifetime(body) {}
  }

  /// Gives it another time, counted from now; false, and nothing happens, once it has fired or was cancelled.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  @discardableResult
  public func reschedule(after delay: Duration) -> Bool {
    reschedule(at: .init(nanoseconds: MonotonicClock.now(plus: delay)))
  }

  /// Gives it another time; false, and nothing happens, once it has fired or was cancelled.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  @discardableResult
  public func reschedule(at deadline: EventLoop.Clock.Instant) -> Bool {
    guard case .pending(let token) = state else { return false }
    requireLoop("reschedule")
    moment = deadline.nanoseconds
    return core.timers.move(token, to: moment)
  }

  func fire() {
    state = .fired
    body.take()?()
  }

  /// Shutdown came first.
  func drop() {
    state = .dropped
    _ = body.take()
  }

  private func requireLoop(_ call: StaticString) {
    core.requireCurrent(
      "ScheduledCall.\(call)", instead: "Use `loop.post { … }` or `await loop.run { loop in … }` there.")
  }
}

extension ScheduledCall: CustomStringConvertible {
  /// Loop, state and deadline in one line.
  public var description: String {
    let text =
      switch state {
      case .pending: "pending, due in \(EventLoop.Clock(core: core).now.duration(to: deadline).text)"
      case .fired: "fired"
      case .cancelled: "cancelled"
      case .dropped: "dropped at shutdown"
      }
    return "ScheduledCall on loop \"\(core.name)\", \(text)"
  }
}

extension EventLoop {
  /// Calls `body` on the loop after `delay`, unless it is cancelled before.
  ///
  /// Never early, not even by a nanosecond, and counted from now; on an idle machine late by up to 2 ms, and by a
  /// thousandth of a long delay, as with ``EventLoop/sleep(for:tolerance:)``. Zero and less call soon, once, never
  /// inline, and let input and output through. Calls with the same deadline fire in the order in which they were made.
  /// At shutdown a call that is not due is dropped and counted in the report.
  ///
  /// - Parameters:
  ///   - delay: The largest `Duration` is as good as never.
  ///   - isolation: The loop's own isolation; leave it out.
  ///   - body: Kept while the call is pending.
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun; ``UVError/Code/notOnLoop`` from an actor of another
  ///   loop.
  ///
  /// > Isolation: On the loop only, without `await`; does not compile elsewhere.
  ///
  /// > Complexity: O(log n) for n waits on the loop.
  @discardableResult
  public func schedule(
    after delay: Duration, isolation: isolated any LoopActor = #isolation, _ body: @escaping () -> Void
  ) throws(UVError) -> ScheduledCall {
    try core.requireOnLoop("schedule")
    return ScheduledCall(on: core, at: MonotonicClock.now(plus: delay), body)
  }

  /// Calls `body` on the loop at `deadline`, unless it is cancelled before; see ``schedule(after:isolation:_:)``.
  ///
  /// - Parameters:
  ///   - deadline: One that has passed is due now.
  ///   - isolation: The loop's own isolation; leave it out.
  ///   - body: Kept while the call is pending.
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun; ``UVError/Code/notOnLoop`` from an actor of another
  ///   loop.
  @discardableResult
  public func schedule(
    at deadline: Clock.Instant, isolation: isolated any LoopActor = #isolation, _ body: @escaping () -> Void
  ) throws(UVError) -> ScheduledCall {
    try core.requireOnLoop("schedule")
    return ScheduledCall(on: core, at: deadline.nanoseconds, body)
  }
}
