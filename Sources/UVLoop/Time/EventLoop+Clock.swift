extension EventLoop {
  /// The loop's clock: what `sleep`, `schedule`, `ticks` and `withTimeout` count with.
  ///
  /// It is monotonic. On Linux it stands still while the machine sleeps, as Swift's `SuspendingClock` does. It is read
  /// fresh at each call, to the nanosecond, unlike libuv's cached time. On a loop made with another
  /// ``EventLoop/Options/time`` it stands where that stands.
  ///
  /// > libuv: `uv_hrtime`.
  public nonisolated var clock: Clock { Clock(core: core) }

  /// A clock whose sleeps wait on a loop.
  ///
  /// > Ownership: It does not keep the `EventLoop`. Once that has ended the clock still tells the time, and its sleeps
  /// throw ``UVError/Code/loopClosed``.
  public struct Clock: _Concurrency.Clock {
    let core: LoopCore

    /// A moment, in nanoseconds of the monotonic clock since an unknown start, or of a time that is turned since zero.
    public struct Instant: InstantProtocol, CustomStringConvertible {
      let nanoseconds: Int64

      /// The moment that is `duration` later, or as late as can be counted (292 years).
      public func advanced(by duration: Duration) -> Instant {
        Instant(nanoseconds: Int64(clamping: Int128(nanoseconds) + duration.nanosecondsRoundedUp))
      }

      /// From this moment to the other one; negative if that was before.
      public func duration(to other: Instant) -> Duration {
        .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds)
      }

      /// The moment that is `duration` later; the same as ``advanced(by:)``.
      public static func + (instant: Instant, duration: Duration) -> Instant { instant.advanced(by: duration) }

      /// The moment that is `duration` earlier, or as early as can be counted.
      public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(nanoseconds: Int64(clamping: Int128(instant.nanoseconds) - duration.nanosecondsRoundedUp))
      }

      /// From `earlier` to `later`; negative if they are the other way round.
      public static func - (later: Instant, earlier: Instant) -> Duration { earlier.duration(to: later) }

      /// Moves the moment to `duration` later.
      public static func += (instant: inout Instant, duration: Duration) { instant = instant + duration }

      /// Moves the moment to `duration` earlier.
      public static func -= (instant: inout Instant, duration: Duration) { instant = instant - duration }

      /// Whether the left moment is before the right one.
      public static func < (left: Instant, right: Instant) -> Bool { left.nanoseconds < right.nanoseconds }

      /// Seconds since the clock's start.
      public var description: String { "\(Duration.nanoseconds(nanoseconds))" }
    }

    /// This moment, not cached.
    public var now: Instant { Instant(nanoseconds: core.time.now) }

    /// One millisecond: a sleep is never early by a nanosecond, and late by up to one or two of these, a long one by
    /// more; see ``EventLoop/sleep(for:tolerance:)``.
    public var minimumResolution: Duration { .milliseconds(1) }

    /// Waits until `deadline`; see ``EventLoop/sleep(until:tolerance:)``.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
      try await core.sleep(until: deadline.nanoseconds, "Clock.sleep")
    }
  }

  /// Waits for `duration`, and resumes on the caller's isolation.
  ///
  /// Never early, not even by a nanosecond; on an idle machine late by up to 2 ms, since libuv waits in whole
  /// milliseconds, and by a thousandth of a long wait, which Linux allows itself in `epoll_wait` (16 s end 16 ms late).
  /// It counts from the call, however long the loop has been busy. Zero and less wait for one turn of the loop; the
  /// largest `Duration` is for ever. Those who wait for the same moment go on in the order in which they began to.
  ///
  /// On the loop it costs about one microsecond and no wake. A task that runs elsewhere may sleep as well; it wakes the
  /// loop to begin, and hops back at the end.
  ///
  /// - Parameters:
  ///   - duration: Counted from the call, in nanoseconds.
  ///   - tolerance: Taken as a permission to be late, of which no use is made.
  /// - Throws: `CancellationError`; ``UVError/Code/loopClosed`` when the loop shuts down, or has.
  ///
  /// > Isolation: Call it anywhere.
  ///
  /// > Cancellation: Ends the sleep at once, from any thread; in a task that is already cancelled nothing begins.
  ///
  /// > Complexity: O(log n) for n waits on the loop.
  public nonisolated(nonsending) func sleep(for duration: Duration, tolerance: Duration? = nil) async throws {
    let deadline = core.time.now(plus: duration)
    try await core.sleep(until: deadline, "sleep")
  }

  /// Waits until `deadline`, and resumes on the caller's isolation; see ``sleep(for:tolerance:)``.
  ///
  /// A moment in the past waits for one turn of the loop.
  ///
  /// - Throws: `CancellationError`; ``UVError/Code/loopClosed`` when the loop shuts down, or has.
  public nonisolated(nonsending) func sleep(until deadline: Clock.Instant, tolerance: Duration? = nil) async throws {
    try await core.sleep(until: deadline.nanoseconds, "sleep")
  }
}
