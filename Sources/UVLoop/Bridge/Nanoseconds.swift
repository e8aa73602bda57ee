// Time as a number: the clock that all deadlines are measured with, in nanoseconds of 64 bits, and what a `Duration` is
// there: nanoseconds for our heap, whole milliseconds for libuv's timers, and text for people.
//
// Spans round up, because a wait that is cut ends early. Spans and sums saturate, because a `Duration` reaches 10^20
// seconds and "for ever" must not wrap into "at once". A span is converted in attoseconds of 128 bits: `components`
// traps on a duration of more seconds than an Int64 holds.

internal import CLibUV

/// libuv's monotonic clock, read fresh each time: the loop's own `uv_now` is cached and cut to milliseconds.
enum MonotonicClock {
  /// Nanoseconds since a fixed, unknown instant; on Linux it stands still while the machine sleeps.
  ///
  /// Signed, so that two instants can be subtracted in either order; the sign bit is 292 years away.
  ///
  /// > libuv: `uv_hrtime`, which may be called on any thread.
  @inline(__always)
  static func now() -> Int64 { Int64(truncatingIfNeeded: uv_hrtime()) }

  /// The moment that is `span` from now, no earlier than now; the end of time where it cannot be counted.
  static func now(plus span: Duration) -> Int64 { now().later(by: span) }
}

extension FixedWidthInteger {
  /// The sum with something that is not negative: the largest number where it cannot be counted.
  @inline(__always)
  func saturatingAdding(_ other: Self) -> Self {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? .max : sum
  }
}

extension Int64 {
  /// Of a moment in nanoseconds: the one that is `span` later, never an earlier one; the end of time where it cannot be
  /// counted.
  @inline(__always)
  func later(by span: Duration) -> Int64 { saturatingAdding(Swift.max(0, span.saturatingNanoseconds)) }

  /// Of a moment in nanoseconds, not before zero: the first whole millisecond that is not before it.
  @inline(__always)
  var millisecondsRoundedUp: UInt64 { (UInt64(self) + 999_999) / 1_000_000 }
}

extension Duration {
  /// Whole nanoseconds, a fraction rounded up; saturates at both ends of `Int64` (292 years).
  var saturatingNanoseconds: Int64 { Int64(clamping: nanosecondsRoundedUp) }

  /// Whole nanoseconds, a fraction rounded up.
  var nanosecondsRoundedUp: Int128 { roundedUp(shift: 9, odd: 1_953_125) }

  /// Whole milliseconds, a fraction rounded up; zero for zero and less, saturates at the largest `UInt64`.
  var millisecondsRoundedUp: UInt64 { UInt64(clamping: roundedUp(shift: 15, odd: 30_517_578_125)) }

  /// How often a unit of so many attoseconds is begun: towards plus infinity, also below zero. The unit is `odd` times
  /// two to the power of `shift`.
  ///
  /// Times of up to an hour or more get by with a division of 64 bits, which costs a tenth of one of 128.
  @inline(__always)
  private func roundedUp(shift: Int128, odd: Int64) -> Int128 {
    let attoseconds = attoseconds
    if attoseconds >= 0, let shifted = Int64(exactly: attoseconds >> shift) {
      let (quotient, remainder) = shifted.quotientAndRemainder(dividingBy: odd)
      let isExact = remainder == 0 && Int128(shifted) << shift == attoseconds
      return Int128(isExact ? quotient : quotient + 1)
    }
    let (quotient, remainder) = attoseconds.quotientAndRemainder(dividingBy: Int128(odd) << shift)
    return remainder > 0 ? quotient + 1 : quotient
  }
}

extension Duration {
  /// For people: in the largest unit of which there is at least one, with three digits.
  var text: String {
    let nanoseconds = saturatingNanoseconds
    let size = nanoseconds.magnitude
    let sign = nanoseconds < 0 ? "-" : ""
    for (unit, name) in [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")] as [(UInt64, String)]
    where size >= unit {
      let whole = size / unit
      let thousandths = size % unit * 1_000 / unit
      // 1.25 s, 12.5 ms, 125 ms: as many decimals as make three digits, without zeros at the end.
      let kept = whole >= 100 ? 0 : whole >= 10 ? thousandths / 100 : thousandths / 10
      var decimals = whole >= 100 || kept == 0 ? "" : whole < 10 && kept < 10 ? "0\(kept)" : "\(kept)"
      while decimals.hasSuffix("0") { decimals.removeLast() }
      return sign + "\(whole)" + (decimals.isEmpty ? "" : ".\(decimals)") + " " + name
    }
    return sign + "\(size) ns"
  }
}
