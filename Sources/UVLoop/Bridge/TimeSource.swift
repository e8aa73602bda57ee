/// Where the time comes from that deadlines are compared with: the machine's clock, or a time that is turned.
///
/// Everyday code pays for the choice with one load and one branch.
struct TimeSource: Sendable {
  /// Nil for the machine's clock.
  let virtual: VirtualTime?

  /// Nanoseconds: of the monotonic clock, or since the virtual time was made.
  @inline(__always)
  var now: Int64 { if let virtual { virtual.now } else { MonotonicClock.now() } }

  /// The moment that is `span` from now, no earlier than now; the end of time where it cannot be counted.
  @inline(__always)
  func now(plus span: Duration) -> Int64 { now.later(by: span) }
}
