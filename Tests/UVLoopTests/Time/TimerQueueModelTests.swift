// The queue against a model that anyone can check by eye: an array, sorted at every question.

import Testing

@testable import UVLoop

@Suite(.sideBySide) struct TimerQueueModelTests {
  /// What the queue should hold, and the line of the pass under way.
  private struct Model {
    struct Entry {
      let id: Int
      let token: TimerToken
      var deadline: Int64
      /// As the queue would number it without an end.
      var sequence: Int
      var inLine = false
    }

    var entries: [Entry] = []

    var sorted: [Entry] { entries.sorted { ($0.deadline, $0.sequence) < ($1.deadline, $1.sequence) } }

    mutating func beginPass(at now: Int64) {
      for index in entries.indices { entries[index].inLine = entries[index].deadline <= now }
    }

    mutating func popDue() -> Int? {
      guard let first = sorted.first(where: \.inLine) else { return nil }
      entries.removeAll { $0.id == first.id }
      return first.id
    }
  }

  private struct Generator {
    private var state: UInt64
    init(seed: UInt64) { state = seed &* 0x9e37_79b9_7f4a_7c15 | 1 }

    mutating func below(_ bound: Int) -> Int {
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      return Int(state >> 33) % bound
    }
  }

  /// The queue, its model, and random steps that both take.
  private struct Comparison {
    let queue: TimerQueue<Int>
    var model = Model()
    var nextSequence = 0
    var stale: [TimerToken] = []
    var random: Generator
    var now: Int64 = 0
    var nextID = 0

    /// Few different deadlines, so that equal ones are common; some past, some extreme.
    mutating func someDeadline() -> Int64 {
      switch random.below(20) {
      case 0: .max
      case 1: .min
      default: now + Int64(random.below(60)) - 15
      }
    }

    mutating func mutate() {
      switch random.below(10) {
      case 0..<5: insert(at: someDeadline())
      case 5..<7: removeAny()
      case 7..<9:
        guard !model.entries.isEmpty else { return }
        let index = random.below(model.entries.count)
        let deadline = someDeadline()
        model.entries[index].sequence = nextSequence
        nextSequence += 1
        model.entries[index].deadline = deadline
        model.entries[index].inLine = false
        #expect(queue.move(model.entries[index].token, to: deadline) == true)
      default:
        guard !stale.isEmpty else { return }
        let token = stale[random.below(stale.count)]
        #expect(queue.remove(token) == nil)
        #expect(queue.move(token, to: now) == false)
        #expect(!queue.contains(token))
      }
    }

    mutating func insert(at deadline: Int64) {
      let token = queue.insert(nextID, at: deadline)
      model.entries.append(.init(id: nextID, token: token, deadline: deadline, sequence: nextSequence))
      nextSequence += 1
      nextID += 1
    }

    mutating func removeAny() {
      guard !model.entries.isEmpty else { return }
      let entry = model.entries.remove(at: random.below(model.entries.count))
      #expect(queue.remove(entry.token) == entry.id)
      stale.append(entry.token)
    }

    /// Many entries at once, of which some stay.
    mutating func burst(_ count: Int, leaving rest: Int) {
      for _ in 0..<count { insert(at: now + Int64(random.below(200))) }
      while model.entries.count > rest { removeAny() }
      #expect(!stale.contains { queue.contains($0) })
    }

    /// A whole pass, with mutations between its deliveries.
    mutating func pass() {
      now += Int64(random.below(10))
      queue.beginPass(at: now)
      model.beginPass(at: now)
      while true {
        let tokens = model.entries
        let (got, expected) = (queue.popDue(), model.popDue())
        #expect(got == expected)
        guard let expected, got != nil else { return queue.endPass() }
        stale += tokens.filter { $0.id == expected }.map(\.token)
        compare()
        for _ in 0..<random.below(3) { mutate() }
      }
    }

    func compare() {
      #expect(queue.count == model.entries.count)
      #expect(queue.earliest == model.entries.map(\.deadline).min())
      if let entry = model.entries.last { #expect(queue.deadline(of: entry.id) == entry.deadline) }
    }
  }

  @Test(arguments: UInt64(1)...12)
  func `random steps leave the queue and a sorted array alike`(seed: UInt64) {
    let queue = TimerQueue<Int>()
    compare(queue, Generator(seed: seed))
    #expect(queue.nextSequence > 2_000)
  }

  @Test(arguments: UInt64(1)...12)
  func `numbers that are used up in the middle change no order`(seed: UInt64) {
    let queue = TimerQueue<Int>(firstSequence: .max - 1_000)
    compare(queue, Generator(seed: seed))
    #expect(queue.nextSequence < .max - 1_000)
  }

  @Test(arguments: UInt64(1)...12)
  func `bursts whose memory is given back leave the queue and a sorted array alike`(seed: UInt64) {
    let queue = TimerQueue<Int>(keptCapacity: 64)
    var comparison = Comparison(queue: queue, random: Generator(seed: seed))
    var capacities: Set<Int> = []
    for _ in 0..<30 {
      comparison.burst(300 + comparison.random.below(900), leaving: comparison.random.below(40))
      for _ in 0..<comparison.random.below(20) { comparison.mutate() }
      comparison.compare()
      comparison.pass()
      capacities.insert(queue.capacity)
    }
    #expect(capacities.contains(64) && capacities.count > 2)
    #expect(comparison.queue.close() == comparison.model.sorted.map(\.id))
  }

  private func compare(_ queue: TimerQueue<Int>, _ random: Generator) {
    var comparison = Comparison(queue: queue, random: random)
    for _ in 0..<300 {
      for _ in 0..<comparison.random.below(20) { comparison.mutate() }
      comparison.compare()
      comparison.pass()
    }
    for entry in comparison.model.entries {
      #expect(comparison.queue.deadline(of: entry.id) == entry.deadline)
    }
    #expect(comparison.queue.close() == comparison.model.sorted.map(\.id))
  }
}
