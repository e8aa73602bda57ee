extension EventLoop {
  /// The loop's clock: what `sleep`, `schedule`, `ticks` and `withTimeout` count with.
  ///
  /// It is monotonic. On Linux it stands still while the machine sleeps, as Swift's `SuspendingClock` does. It is read
  /// fresh at each call, to the nanosecond, unlike libuv's cached time. On a loop made with another
  /// ``EventLoop/Options/time`` it stands where that stands.
  ///
  /// > libuv: `uv_hrtime`.
  public nonisolated var clock: Clock { Clock(loop: core) }

  /// A clock whose sleeps wait on a loop.
  ///
  /// > Ownership: It does not keep the `EventLoop`. Once that has ended the clock still tells the time, and its sleeps
  /// throw ``UVError/Code/loopClosed``.
  public struct Clock: _Concurrency.Clock {
    let loop: LoopCore

    /// A moment, in nanoseconds of the monotonic clock since an unknown start, or of a virtual time since zero.
    public struct Instant: InstantProtocol, CustomStringConvertible {
      let nanoseconds: Int64

      /// The moment that is `duration` later, or as late as can be counted (292 years).
      public func advanced(by duration: Duration) -> Instant {
        moved(by: duration.nanosecondsRoundedUp)
      }

      /// From this moment to the other one; negative if that was before.
      public func duration(to other: Instant) -> Duration {
        .nanoseconds(other.nanoseconds) - .nanoseconds(nanoseconds)
      }

      /// The moment that is `duration` later; the same as ``advanced(by:)``.
      public static func + (instant: Instant, duration: Duration) -> Instant { instant.advanced(by: duration) }

      /// The moment that is `duration` earlier, or as early as can be counted.
      public static func - (instant: Instant, duration: Duration) -> Instant {
        instant.moved(by: -duration.nanosecondsRoundedUp)
      }

      /// Exact, whatever the signs, and then cut to what can be counted.
      private func moved(by span: Int128) -> Instant {
        Instant(nanoseconds: Int64(clamping: Int128(nanoseconds) + span))
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
    public var now: Instant { Instant(nanoseconds: loop.time.now) }

    /// One millisecond: a sleep is never early by a nanosecond, and late by up to one or two of these, a long one by
    /// more; see ``EventLoop/sleep(for:tolerance:)``.
    public var minimumResolution: Duration { .milliseconds(1) }

    /// Waits until `deadline`; see ``EventLoop/sleep(until:tolerance:)``.
    public func sleep(until deadline: Instant, tolerance: Duration? = nil) async throws {
      try await Sleep.wait(until: deadline.nanoseconds, on: loop, "Clock.sleep")
    }
  }
}
