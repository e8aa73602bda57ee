// Duration to the two units below us: nanoseconds for our heap, whole milliseconds for libuv's timers.
//
// Both round up, because a wait that is cut ends early; both saturate, because a `Duration` reaches 10^20 seconds and
// "for ever" must not wrap into "at once". The sums are made in attoseconds of 128 bits: `components` traps on a
// duration of more seconds than an Int64 holds.

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
