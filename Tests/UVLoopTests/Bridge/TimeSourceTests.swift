import Testing

@testable import UVLoop

@Suite(.sideBySide) struct TimeSourceTests {
  @Test func `a virtual time never goes back, and never comes to the end of all time`() {
    let time = VirtualTime(jumps: false)
    #expect(time.now == 0)
    time.move(to: 7)
    time.move(to: 3)
    #expect(time.now == 7)
    time.move(to: .min)
    #expect(time.now == 7)
    time.move(to: .max)
    #expect(time.now == .max - 1)
  }

  @Test func `a source of virtual time counts from where that stands, and saturates`() {
    let time = VirtualTime(jumps: false)
    let source = TimeSource(virtual: time)
    time.move(to: 40)
    #expect(source.now == 40)
    #expect(source.now(plus: .nanoseconds(2)) == 42)
    #expect(source.now(plus: .nanoseconds(-2)) == 40)
    #expect(source.now(plus: .seconds(Int64.max)) == .max)
  }

  @Test func `a source without a virtual time is the monotonic clock`() {
    let before = MonotonicClock.now()
    let seen = TimeSource(virtual: nil).now
    #expect(before <= seen && seen <= MonotonicClock.now())
  }
}
