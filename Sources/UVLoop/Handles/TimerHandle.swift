import CLibUV
import Synchronization

/// A `uv_timer_t`, one to one: calls back after a delay, and then again and again if asked to.
///
/// ```swift
/// let timer = try TimerHandle()
/// try timer.start(after: .zero, repeating: .seconds(1)) {
///   beats += 1
/// }
/// ```
///
/// For a wait use ``EventLoop/sleep(for:tolerance:)``, for a call ``EventLoop/schedule(after:isolation:_:)``, for a
/// rhythm ``EventLoop/ticks(every:missed:)``: they count in nanoseconds, and are cheaper in number. This class is for
/// those who want libuv's timer as it is. It counts real time, also on a loop with another ``EventLoop/Options/time``.
///
/// > Isolation: Created and used on its loop only; nothing else compiles. A call that reaches it off the loop through
/// unsafe code traps, in release builds too.
///
/// > Ownership: While it is active the loop keeps it, and it goes on firing though nobody holds it. Dropped when it is
/// inactive it is closed. The callback is released when a one-shot has fired, at `stop` and at `close`.
///
/// > libuv: `uv_timer_t`, `uv_timer_init`.
public final class TimerHandle: LoopHandle {
  private let timer: Timer

  /// A timer that has not been started.
  ///
  /// - Throws: ``UVError/Code/loopClosed`` once shutdown has begun.
  public init(isolation: isolated any LoopActor = #isolation) throws(UVError) {
    timer = try Timer(on: isolation.core(for: "TimerHandle.init"))
    super.init(timer)
  }

  /// Calls `body` after `delay`, and from then on every `interval`.
  ///
  /// The first call is never early: the delay counts from now, to the nanosecond, and is rounded up to libuv's
  /// milliseconds. Zero and less call soon, once the loop has looked for input and output, never inline and never in
  /// the same pass of timers. Repeats are libuv's: each is armed when the one before fires, from the loop's time then,
  /// so that a loop that was blocked for three intervals makes one late call, and lateness adds up.
  ///
  /// On a started timer it replaces delay, interval and callback. In the timer's own callback it does the same. For a
  /// deadline that moves all the time, as a time limit does while data comes, use
  /// ``EventLoop/schedule(after:isolation:_:)`` and ``ScheduledCall/reschedule(after:)``: they take less time, and keep
  /// nanoseconds.
  ///
  /// Timers call in the order of their milliseconds, and in the order of their starts within one. A start with zero
  /// counts from the next poll.
  ///
  /// - Parameters:
  ///   - delay: Rounded up to whole milliseconds; the largest `Duration` is as good as never.
  ///   - interval: Rounded up to whole milliseconds; zero or less means once.
  ///   - body: Runs on the loop.
  /// - Throws: ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  /// - Complexity: O(log n) for n timer handles that run on the loop.
  ///
  /// > libuv: `uv_timer_start`.
  public func start(
    after delay: Duration, repeating interval: Duration = .zero, _ body: @escaping () -> Void
  ) throws(UVError) {
    try timer.start(after: delay, repeating: interval, body)
  }

  /// Stops the timer and releases its callback. Twice, and on a closed timer, it does nothing.
  ///
  /// > libuv: `uv_timer_stop`.
  public func stop() { timer.stop() }

  /// Starts a repeating timer anew, with its interval as the delay. A timer that does not repeat is left as it is.
  ///
  /// - Throws: ``UVError/Code/invalidArgument`` (`EINVAL`) if it was never started, or repeats and its callback is
  ///   gone, where libuv's timer would still have it: it has been stopped, or got its interval as a one-shot that had
  ///   fired. ``UVError/Code/handleClosed``; ``UVError/Code/loopClosed``.
  ///
  /// > libuv: `uv_timer_again`.
  public func again() throws(UVError) { try timer.again() }

  /// The interval between calls; zero for a timer that does not repeat.
  ///
  /// Set in the callback it holds after the next expiry, for which the timer is armed already. Rounded up to whole
  /// milliseconds; less than zero is zero. On a closed timer setting it does nothing.
  ///
  /// > libuv: `uv_timer_get_repeat`, `uv_timer_set_repeat`.
  public var repeatInterval: Duration {
    get { timer.repeatInterval }
    set { timer.setInterval(newValue) }
  }

  /// How long until the next call, in whole milliseconds rounded down; nil when the timer is inactive.
  ///
  /// > libuv: `uv_timer_get_due_in`.
  public var dueIn: Duration? { timer.dueIn }
}

/// Belongs to the loop's thread, but for what is atomic.
@safe private final class Timer: Handle {
  private var interval: UInt64 = 0
  private var wasStarted = false
  /// A start with zero delay waits until just before the next poll: before libuv 1.48 a timer that is armed with 0 in
  /// its own callback runs again in the same pass, for ever.
  private var isPostponed = false
  /// When the timer is due, in the loop's milliseconds. Read from outside too.
  private let due = Atomic<UInt64>(0)

  init(on loop: LoopCore) throws(UVError) {
    try unsafe super.init(UV_TIMER, "TimerHandle", on: loop) { uvLoop, memory in
      unsafe uv_timer_init(uvLoop, memory.bindMemory(to: uv_timer_t.self, capacity: 1))
    }
  }

  // MARK: On the loop

  private var uvTimer: UnsafeMutablePointer<uv_timer_t> { unsafe memory.assumingMemoryBound(to: uv_timer_t.self) }

  /// Cached, and cut to milliseconds.
  private var loopTime: UInt64 { unsafe uv_now(loop.rawLoop.loop) }

  func start(after delay: Duration, repeating interval: Duration, _ body: @escaping () -> Void) throws(UVError) {
    try requireUsable("start")
    setRepeat(interval.millisecondsRoundedUp)
    let nanoseconds = delay.saturatingNanoseconds
    if nanoseconds <= 0 {
      _ = unsafe uv_timer_stop(uvTimer)
      isPostponed = true
      due.store(loopTime, ordering: .relaxed)
      loop.handles.callBeforePoll(self)
    } else {
      try arm(nanoseconds)
    }
    wasStarted = true
    start(calling: body)
  }

  /// libuv counts from a time that it cached, cut to milliseconds, so that its own sum is early by up to one. Ours is
  /// right whatever the age of that time. It must not be updated here: a pass of timers ends because it stands still.
  private func arm(_ delay: Int64) throws(UVError) {
    try arm(at: MonotonicClock.now().saturatingAdding(delay).millisecondsRoundedUp)
  }

  private func arm(at moment: UInt64) throws(UVError) {
    unsafe try check(
      uv_timer_start(
        uvTimer, { unsafe Timer.of($0?.pointee.data)?.expired() }, moment - loopTime, interval),
      "TimerHandle.start")
    isPostponed = false
    due.store(moment, ordering: .relaxed)
  }

  override func beforePoll() -> Bool {
    if isPostponed && state.isActive {
      // libuv refuses only a timer that closes, and this one is active.
      do { try arm(at: loopTime) } catch { fatalError("UVLoop: \(error)") }
    }
    return false
  }

  private func expired() {
    let isOnce = unsafe uv_is_active(uvHandle) == 0
    if !isOnce {
      // Armed anew by libuv, before it called, and with the same sum.
      due.store(loopTime.saturatingAdding(interval), ordering: .relaxed)
    }
    call(once: isOnce)
  }

  func stop() {
    if state.isClosed { return }
    requireLoop("stop")
    _ = unsafe uv_timer_stop(uvTimer)
    isPostponed = false
    stopCalling()
  }

  func again() throws(UVError) {
    try requireUsable("again")
    if !wasStarted {
      throw UVError(
        status: Int32(UV_EINVAL.rawValue), call: "TimerHandle.again",
        hint: "The timer was never started. Call start(after:repeating:_:) first.")
    }
    if interval == 0 { return }
    if function == nil {
      throw UVError(
        status: Int32(UV_EINVAL.rawValue), call: "TimerHandle.again",
        hint:
          "The timer has been stopped, or has fired, which released its callback. Call start(after:repeating:_:) again."
      )
    }
    try arm(Duration.milliseconds(interval).saturatingNanoseconds)
    activate()
  }

  var repeatInterval: Duration {
    loop.requireReadable("TimerHandle.repeatInterval")
    return .milliseconds(interval)
  }

  func setInterval(_ interval: Duration) {
    if state.isClosed { return }
    requireLoop("repeatInterval")
    setRepeat(interval.millisecondsRoundedUp)
  }

  private func setRepeat(_ interval: UInt64) {
    if interval == self.interval { return }
    self.interval = interval
    unsafe uv_timer_set_repeat(uvTimer, interval)
  }

  var dueIn: Duration? {
    requireReadable("dueIn")
    return state.isActive ? remaining : nil
  }

  override var activeText: String { "active, due in \((remaining ?? .zero).text)" }

  // MARK: On any thread

  override var remaining: Duration? {
    let due = due.load(ordering: .relaxed)
    let now = MonotonicClock.now().millisecondsRoundedUp
    return .milliseconds(due > now ? due - now : 0)
  }
}
