extension EventLoop {
  /// Waits for `duration`, and resumes on the caller's isolation.
  ///
  /// Never early, not even by a nanosecond; on an idle machine late by up to 2 ms, since libuv waits in whole
  /// milliseconds, and by a thousandth of a long wait, which Linux allows itself in `epoll_wait` (16 s end 16 ms late).
  /// It counts from the call, however long the loop has been busy. Zero and less wait for one iteration of the loop;
  /// the largest `Duration` is for ever. Those who wait for the same moment go on in the order in which they began to.
  ///
  /// On the loop it costs about one microsecond and no wake. A task that runs elsewhere may sleep as well; it wakes the
  /// loop to begin, and hops back at the end.
  ///
  /// - Parameters:
  ///   - duration: Counted from the call, in nanoseconds.
  ///   - tolerance: Accepted as the clocks of Swift have it, and ignored.
  /// - Throws: `CancellationError`; ``UVError/Code/loopClosed`` when the loop shuts down, or has.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Ends the sleep at once, from any thread; in a task that is already cancelled nothing begins.
  ///
  /// > Complexity: O(log n) for n waits on the loop.
  public nonisolated(nonsending) func sleep(for duration: Duration, tolerance: Duration? = nil) async throws {
    try await Sleep.wait(for: duration, on: core, "sleep")
  }

  /// Waits until `deadline`, and resumes on the caller's isolation; see ``sleep(for:tolerance:)``.
  ///
  /// A moment in the past waits for one iteration of the loop.
  ///
  /// - Throws: `CancellationError`; ``UVError/Code/loopClosed`` when the loop shuts down, or has.
  public nonisolated(nonsending) func sleep(until deadline: Clock.Instant, tolerance: Duration? = nil) async throws {
    try await Sleep.wait(until: deadline.nanoseconds, on: core, "sleep")
  }
}

/// Who begins the wait for a moment. The wait's argument is the deadline, in nanoseconds of the loop's time.
final class Sleep: WaitOwner, Sendable {
  static let owner = Sleep()

  @inline(__always)
  static func wait(
    for duration: Duration, on loop: LoopCore, _ call: @autoclosure () -> String,
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await wait(until: loop.time.now(plus: duration), on: loop, call())
  }

  /// Waits until `deadline`, in nanoseconds of the loop's time, without leaving the loop's thread if called there.
  @inline(__always)
  static func wait(
    until deadline: Int64, on loop: LoopCore, _ call: @autoclosure () -> String,
    isolation: isolated (any Actor)? = #isolation
  ) async throws {
    try await LoopWait(.sleep, on: loop, owner: owner, deadline).value(call())
  }

  func begin(_ wait: LoopWait) { wait.token = wait.loop.timers.insert(.sleeper(wait), at: wait.argument) }

  /// A shutdown has emptied the timers before.
  func withdraw(_ wait: LoopWait) {
    if !wait.loop.waits.areReleased { wait.loop.timers.remove(wait.token) }
  }
}
