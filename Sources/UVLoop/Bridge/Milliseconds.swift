// Duration to the two units below us: nanoseconds for our heap, whole milliseconds for libuv's timers.
//
// Both round up, because a wait that is cut ends early; both saturate, because a `Duration` reaches 10^20 seconds and
// "for ever" must not wrap into "at once". The sums are made in attoseconds of 128 bits: `components` traps on a
// duration of more seconds than an Int64 holds.

extension Duration {
  /// Whole nanoseconds, a fraction rounded up; saturates at both ends of `Int64` (292 years).
  var saturatingNanoseconds: Int64 { Int64(clamping: roundedUp(to: 1_000_000_000)) }

  /// Whole milliseconds, a fraction rounded up; zero for zero and less, saturates at the largest `UInt64`.
  var millisecondsRoundedUp: UInt64 { UInt64(clamping: roundedUp(to: 1_000_000_000_000_000)) }

  /// How often a unit of so many attoseconds is begun: towards plus infinity, also below zero.
  private func roundedUp(to unit: Int128) -> Int128 {
    let (quotient, remainder) = attoseconds.quotientAndRemainder(dividingBy: unit)
    return remainder > 0 ? quotient + 1 : quotient
  }
}
