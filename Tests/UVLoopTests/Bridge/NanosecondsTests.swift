import Testing

@testable import UVLoop

@Suite(.sideBySide) struct NanosecondsTests {
  private let attosecond = Duration(secondsComponent: 0, attosecondsComponent: 1)
  /// More seconds than an Int64 holds.
  private let beyond = Duration.seconds(Int64.max) * 10

  @Test func `zero is zero in both units`() {
    #expect(Duration.zero.saturatingNanoseconds == 0)
    #expect(Duration.zero.millisecondsRoundedUp == 0)
  }

  @Test func `whole nanoseconds are exact, of either sign`() {
    #expect(Duration.nanoseconds(1).saturatingNanoseconds == 1)
    #expect(Duration.nanoseconds(-1).saturatingNanoseconds == -1)
    #expect(Duration.seconds(3).saturatingNanoseconds == 3_000_000_000)
    #expect(Duration.nanoseconds(Int64.max).saturatingNanoseconds == .max)
    #expect(Duration.nanoseconds(Int64.min).saturatingNanoseconds == .min)
  }

  @Test func `a fraction of a nanosecond rounds up`() {
    #expect(attosecond.saturatingNanoseconds == 1)
    #expect((Duration.nanoseconds(7) + attosecond).saturatingNanoseconds == 8)
    #expect((Duration.nanoseconds(8) - attosecond).saturatingNanoseconds == 8)
  }

  @Test func `a negative fraction of a nanosecond rounds towards zero`() {
    #expect((Duration.zero - attosecond).saturatingNanoseconds == 0)
    #expect((Duration.nanoseconds(-7) - attosecond).saturatingNanoseconds == -7)
  }

  @Test func `nanoseconds saturate at both ends`() {
    #expect((Duration.nanoseconds(Int64.max) + attosecond).saturatingNanoseconds == .max)
    #expect((Duration.nanoseconds(Int64.min) - .nanoseconds(1)).saturatingNanoseconds == .min)
    #expect(Duration.seconds(Int64.max).saturatingNanoseconds == .max)
    #expect(Duration.seconds(Int64.min).saturatingNanoseconds == .min)
    #expect(beyond.saturatingNanoseconds == .max)
    #expect((Duration.zero - beyond).saturatingNanoseconds == .min)
  }

  @Test func `whole milliseconds are exact`() {
    #expect(Duration.milliseconds(1).millisecondsRoundedUp == 1)
    #expect(Duration.seconds(60).millisecondsRoundedUp == 60_000)
  }

  @Test func `a fraction of a millisecond rounds up`() {
    #expect(attosecond.millisecondsRoundedUp == 1)
    #expect((Duration.milliseconds(5) + attosecond).millisecondsRoundedUp == 6)
    #expect((Duration.milliseconds(5) - attosecond).millisecondsRoundedUp == 5)
  }

  @Test func `negative durations are zero milliseconds`() {
    #expect((Duration.zero - attosecond).millisecondsRoundedUp == 0)
    #expect(Duration.milliseconds(-1).millisecondsRoundedUp == 0)
    #expect((Duration.zero - beyond).millisecondsRoundedUp == 0)
  }

  @Test func `both are right on either side of what 64 bits can divide`() {
    for shift in [60, 63, 70, 71, 72, 73, 77, 78, 79, 90] as [Int128] {
      for offset in -600...600 as ClosedRange<Int128> {
        let attoseconds = (1 << shift) + offset * 333_333_333
        let duration = Duration(attoseconds: attoseconds)
        #expect(
          Int128(duration.saturatingNanoseconds) == min((attoseconds + 999_999_999) / 1_000_000_000, .init(Int64.max)))
        #expect(Int128(duration.millisecondsRoundedUp) == (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000)
      }
    }
  }

  @Test func `milliseconds saturate`() {
    #expect(Duration.seconds(Int64.max).millisecondsRoundedUp == .max)
    #expect(beyond.millisecondsRoundedUp == .max)
  }

  @Test func `the monotonic clock never goes back`() {
    var last = MonotonicClock.now()
    for _ in 0..<10_000 {
      let now = MonotonicClock.now()
      #expect(now >= last)
      last = now
    }
  }

  @Test func `a sum that cannot be counted is the largest number`() {
    #expect(Int64(40).saturatingAdding(2) == 42)
    #expect(Int64.max.saturatingAdding(0) == .max)
    #expect(Int64.max.saturatingAdding(1) == .max)
    #expect((Int64.max - 1).saturatingAdding(.max) == .max)
    #expect(Int64.min.saturatingAdding(.max) == -1)
    #expect(UInt64.max.saturatingAdding(1) == .max)
    #expect((UInt64.max - 1).saturatingAdding(1) == .max)
  }

  @Test func `a moment rounds up to whole milliseconds`() {
    #expect(Int64(0).millisecondsRoundedUp == 0)
    #expect(Int64(1).millisecondsRoundedUp == 1)
    #expect(Int64(1_000_000).millisecondsRoundedUp == 1)
    #expect(Int64(1_000_001).millisecondsRoundedUp == 2)
    #expect(Int64.max.millisecondsRoundedUp == 9_223_372_036_855)
  }
}
