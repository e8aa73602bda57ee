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
}
