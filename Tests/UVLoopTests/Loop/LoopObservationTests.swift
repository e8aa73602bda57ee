import Testing

@testable import UVLoop

/// Who watches a loop, and what it is told.
@Suite(.sideBySide) struct LoopObservationTests {
  @Test func `without interest nobody is told, and work carries nothing`() throws {
    let parts = try LoopPartsFixture()
    defer { parts.close() }
    var ran = 0
    parts.observation.observing(LoopCall(kind: .post)) { ran += 1 }
    let isPlain = parts.observation.timestamped(.call {}).isPlain()
    #expect(isPlain)
    #expect(ran == 1 && parts.observer.told.value.isEmpty)
    #expect(parts.observation.siteIfWanted == nil)
  }

  @Test func `with interest in calls each is told before and after, and work carries when it came`() throws {
    let parts = try LoopPartsFixture()
    defer { parts.close() }
    parts.observation.setInterest(.calls, true)
    parts.observation.observing(LoopCall(kind: .post)) { parts.observer.told.update { $0.append("runs") } }
    #expect(parts.observer.told.value == ["will run post since -", "runs", "did run"])
    parts.observer.told.value = []
    parts.queue.enqueueLocal(.call {})
    #expect(parts.queue.drain())
    #expect(parts.observer.told.value == ["will run post since then", "did run"])
  }

  @Test func `interests are switched each for itself`() throws {
    let parts = try LoopPartsFixture()
    defer { parts.close() }
    parts.observation.setInterest([.calls, .sites], true)
    parts.observation.setInterest(.iterations, true)
    parts.observation.setInterest(.sites, false)
    #expect(parts.observation.interest == [.calls, .iterations])
    parts.observation.setInterest(.calls, false)
    let isPlain = parts.observation.timestamped(.call {}).isPlain()
    #expect(isPlain)
  }

  @Test func `what carries its time runs though nobody wants to know any more`() throws {
    let parts = try LoopPartsFixture()
    defer { parts.close() }
    parts.observation.setInterest(.calls, true)
    var ran = 0
    parts.queue.enqueueLocal(.call { ran += 1 })
    parts.observation.setInterest(.calls, false)
    #expect(parts.queue.drain())
    #expect(ran == 1 && parts.observer.told.value.isEmpty)
  }
}

extension Work {
  fileprivate consuming func isPlain() -> Bool {
    switch consume self {
    case .timestamped: false
    default: true
    }
  }
}
