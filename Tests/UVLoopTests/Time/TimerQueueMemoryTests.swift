import Testing

@testable import UVLoop

/// What a queue gives back after a burst, and what happens to the tokens of slots that are gone.
@Suite(.sideBySide) struct TimerQueueMemoryTests {
  private let queue = TimerQueue<Int>(keptCapacity: 64)

  private func fill(_ count: Int, at deadline: Int64 = 1_000) -> [TimerToken] {
    (0..<count).map { queue.insert($0, at: deadline) }
  }

  private func remove(_ tokens: some Sequence<TimerToken>) {
    for token in tokens { _ = queue.remove(token) }
  }

  @Test func `a queue that was very long gives its memory back while one entry still waits`() {
    let waiting = queue.insert(-1, at: 5)
    remove(fill(10_000))
    #expect(queue.capacity == 64)
    #expect(queue.count == 1 && queue.earliest == 5 && queue.contains(waiting))
    #expect(queue.remove(waiting) == -1)
  }

  @Test func `the memory of a burst that was delivered is given back at the end of the pass`() {
    let waiting = queue.insert(-1, at: 5_000)
    _ = fill(10_000)
    queue.beginPass(at: 1_000)
    #expect(queue.lineCapacity > 64)
    var delivered = 0
    while queue.popDue() != nil { delivered += 1 }
    queue.endPass()
    #expect(delivered == 10_000)
    #expect(queue.capacity == 64 && queue.lineCapacity == 64)
    #expect(queue.earliest == 5_000 && queue.contains(waiting))
  }

  @Test func `half is given back when a quarter is enough, and not before`() {
    let tokens = fill(1_024)
    remove(tokens[257...])
    #expect(queue.capacity == 1_024)
    _ = queue.remove(tokens[256])
    #expect(queue.capacity == 512)
    remove(tokens[128..<256])
    #expect(queue.capacity == 256)
  }

  @Test func `a queue that swings around a quarter keeps its capacity`() {
    remove(fill(1_024)[256...])
    for _ in 0..<10 {
      remove(fill(200))
      #expect(queue.capacity == 512)
    }
  }

  @Test func `an entry made at the height of a burst keeps the capacity until it is gone`() throws {
    let tokens = fill(1_024)
    remove(tokens.dropLast())
    #expect(queue.capacity == 1_024)
    // What is made now does not stand in the way.
    let later = fill(10)
    #expect(queue.remove(try #require(tokens.last)) == 1_023)
    #expect(queue.capacity == 512)
    #expect(later.map { queue.remove($0) } == Array(0..<10))
    #expect(queue.capacity == 64)
  }

  @Test func `a token whose slot was given back stays stale when the slot comes again`() {
    var stale: [TimerToken] = []
    for _ in 0..<3 {
      let tokens = fill(1_024)
      #expect(Set(tokens).isDisjoint(with: stale))
      #expect(!stale.contains { queue.contains($0) || queue.move($0, to: 0) || queue.remove($0) != nil })
      remove(tokens)
      #expect(queue.capacity == 64)
      #expect(!tokens.contains { queue.contains($0) })
      stale += tokens
    }
  }

  @Test func `a token whose slot was given back was not handed out at the close`() throws {
    let last = try #require(fill(1_024).last)
    queue.beginPass(at: 1_000)
    while queue.popDue() != nil {}
    queue.endPass()
    let waiting = queue.insert(7, at: 0)
    #expect(queue.close() == [7])
    #expect(!queue.wasHandedOut(last) && queue.wasHandedOut(waiting))
  }

  @Test func `entries that are removed in the middle of a pass are given back at its end`() {
    let tokens = fill(1_024)
    queue.beginPass(at: 1_000)
    #expect(queue.popDue() == 0)
    remove(tokens[1..<1_000])
    remove(tokens[1_001...])
    #expect(queue.capacity == 1_024)
    #expect(queue.popDue() == 1_000)
    #expect(queue.popDue() == nil)
    queue.endPass()
    #expect(queue.capacity == 64)
    #expect(queue.insert(1, at: 0) != tokens[0])
  }

  @Test func `the last entry in line may be the one that gives back`() {
    let tokens = fill(1_024)
    queue.beginPass(at: 1_000)
    remove(tokens)
    #expect(queue.capacity == 64)
    #expect(queue.nextInPass == nil && queue.popDue() == nil)
    _ = fill(2, at: 2_000)
    queue.beginPass(at: 2_000)
    #expect([queue.popDue(), queue.popDue(), queue.popDue()] == [0, 1, nil])
  }

  @Test func `slots whose generations are half used up are kept`() {
    let old = TimerQueue<Int>(firstGeneration: .max / 2, keptCapacity: 64)
    let tokens = (0..<1_024).map { old.insert($0, at: 0) }
    for token in tokens { _ = old.remove(token) }
    #expect(old.capacity == 1_024)
    let again = (0..<2_000).map { old.insert($0, at: 0) }
    #expect(Set(again).isDisjoint(with: tokens) && again.allSatisfy { old.contains($0) })
  }
}
