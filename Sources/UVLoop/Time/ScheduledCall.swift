/// A call that waits for its time, as ``EventLoop/schedule(after:isolation:_:)`` made it.
///
/// > Isolation: Belongs to its loop; nothing of it compiles elsewhere. A call that reaches it off the loop through
/// unsafe code traps.
///
/// > Ownership: The loop keeps it while it is pending. Its closure is released when it has fired, was cancelled, or was
/// dropped at shutdown. Dropping this object cancels nothing.
public final class ScheduledCall {
  /// Not the core, which leads here only through a variable: what comes out of one is retained for each use.
  private let timers: LoopTimers
  /// None once it has been cancelled.
  private var token: TimerToken
  private var moment: Int64

  // MARK: On the loop

  /// The closure is the queue's alone: a call whose maker does not keep this object takes no memory for it.
  init(on timers: consuming LoopTimers, at deadline: Int64, _ body: consuming @escaping () -> Void) {
    moment = deadline
    token = timers.insert(consume body, at: deadline)
    self.timers = timers
  }

  /// When it fires, fired, or would have fired.
  public var deadline: EventLoop.Clock.Instant {
    requireReadable("deadline")
    return .init(nanoseconds: moment)
  }

  /// Whether it will fire.
  public var isPending: Bool {
    requireReadable("isPending")
    return timers.contains(token)
  }

  /// Keeps it from firing, and releases its closure now. After it has fired, and twice, it does nothing.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  public func cancel() {
    requireReadable("cancel")
    if !timers.contains(token) { return }
    let cancelled = token
    token = .none
    timers.remove(cancelled)
  }

  /// Gives it another time, counted from now; false, and nothing happens, once it has fired or was cancelled.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  @discardableResult
  public func reschedule(after delay: Duration) -> Bool {
    reschedule(at: .init(nanoseconds: timers.time.now(plus: delay)))
  }

  /// Gives it another time; false, and nothing happens, once it has fired or was cancelled.
  ///
  /// - Complexity: O(log n) for n waits on the loop.
  @discardableResult
  public func reschedule(at deadline: EventLoop.Clock.Instant) -> Bool {
    requireReadable("reschedule")
    if !timers.contains(token) { return false }
    moment = deadline.nanoseconds
    return timers.move(token, to: moment)
  }

  /// Before anything is looked at: off the loop even the look would be a race with the queue.
  @inline(__always)
  private func requireReadable(_ member: StaticString) {
    if !timers.isReadable { unsafe timers.loop.trapOffLoop("ScheduledCall.\(member)", LoopCore.wayOntoLoop) }
  }
}

extension ScheduledCall: CustomStringConvertible {
  // MARK: On any thread

  /// Loop, state and deadline in one line; off the loop only the loop.
  public var description: String {
    let text =
      if !timers.isReadable {
        LoopCore.unreadState
      } else if isPending {
        // Not as a difference of two numbers: the earliest deadline is too far away for one.
        "pending, due in \((Duration.nanoseconds(moment) - .nanoseconds(timers.time.now)).text)"
      } else if token == .none {
        "cancelled"
      } else {
        timers.wasDropped(token) ? "dropped at shutdown" : "fired"
      }
    return "ScheduledCall on loop \"\(timers.loopName)\", \(text)"
  }
}

extension EventLoop {
  // MARK: On the loop

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
    try requireOnLoop(isolation, "schedule")
    let loop = core
    return ScheduledCall(on: loop.timers, at: loop.time.now(plus: delay), body)
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
    try requireOnLoop(isolation, "schedule")
    let loop = core
    return ScheduledCall(on: loop.timers, at: deadline.nanoseconds, body)
  }
}
