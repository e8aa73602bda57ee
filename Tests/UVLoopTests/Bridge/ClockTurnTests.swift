import Testing

@testable import UVLoop

@Suite(.sideBySide) struct ClockTurnTests {
  @Test func `a turn to a moment goes by every deadline on the way and ends there`() {
    var turn = ClockTurn(.to(10))
    #expect(turn.next(earliest: 3) == .go(to: 3))
    #expect(turn.next(earliest: 7) == .go(to: 7))
    #expect(turn.next(earliest: 11) == .end(at: 10))
    #expect(turn.reached == nil)
  }

  @Test func `a deadline at the end of the turn belongs to it`() {
    var turn = ClockTurn(.to(10))
    #expect(turn.next(earliest: 10) == .go(to: 10))
    #expect(turn.next(earliest: nil) == .end(at: 10))
  }

  @Test func `a turn to the next deadline goes to one and stays there`() {
    var turn = ClockTurn(.nextDeadline)
    #expect(turn.next(earliest: 5) == .go(to: 5))
    #expect(turn.reached == 5)
    #expect(turn.next(earliest: 6) == .end(at: nil))
    #expect(turn.reached == 5)
  }

  @Test func `a turn to the next deadline ends where there is none`() {
    var turn = ClockTurn(.nextDeadline)
    #expect(turn.next(earliest: nil) == .end(at: nil))
    #expect(turn.reached == nil)
  }

  @Test(arguments: [nil, 0, 5] as [Int64?])
  func `a turn to idleness goes nowhere`(earliest: Int64?) {
    var turn = ClockTurn(.idle)
    #expect(turn.next(earliest: earliest) == .end(at: nil))
  }

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
