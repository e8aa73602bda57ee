import Testing

@testable import UVLoop

@Suite(.sideBySide) struct ClockAdvanceTests {
  @Test func `an advance to a moment goes by every deadline on the way and ends there`() {
    var advance = ClockAdvance(.to(10))
    #expect(advance.next(earliest: 3) == .go(to: 3))
    #expect(advance.next(earliest: 7) == .go(to: 7))
    #expect(advance.next(earliest: 11) == .end(at: 10))
    #expect(advance.reached == nil)
  }

  @Test func `a deadline at the end of the advance belongs to it`() {
    var advance = ClockAdvance(.to(10))
    #expect(advance.next(earliest: 10) == .go(to: 10))
    #expect(advance.next(earliest: nil) == .end(at: 10))
  }

  @Test func `an advance to the next deadline goes to one and stays there`() {
    var advance = ClockAdvance(.nextDeadline)
    #expect(advance.next(earliest: 5) == .go(to: 5))
    #expect(advance.reached == 5)
    #expect(advance.next(earliest: 6) == .end(at: nil))
    #expect(advance.reached == 5)
  }

  @Test func `an advance to the next deadline ends where there is none`() {
    var advance = ClockAdvance(.nextDeadline)
    #expect(advance.next(earliest: nil) == .end(at: nil))
    #expect(advance.reached == nil)
  }

  @Test(arguments: [nil, 0, 5] as [Int64?])
  func `an advance to idleness goes nowhere`(earliest: Int64?) {
    var advance = ClockAdvance(.idle)
    #expect(advance.next(earliest: earliest) == .end(at: nil))
  }
}
